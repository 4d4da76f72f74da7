"""The multi-node GPU profiler: the commands `escalade profile …`."""

from __future__ import annotations

import typer

from escalade.cli.lazy import Lazy, lazy_group

COMMANDS = {
    "start": Lazy(
        "escalade.cli.profile.heading:start",
        "Start the head: it takes what nodes send, and keeps it.",
    ),
    "connect": Lazy(
        "escalade.cli.profile.connecting:connect",
        "Read the GPUs of this node, and send them to a head, until Ctrl-C.",
    ),
    "attach": Lazy(
        "escalade.cli.profile.attaching:attach",
        "Connect all nodes of a Slurm job, by one job step.",
    ),
    "drain": Lazy(
        "escalade.cli.profile.connecting:drain",
        "Send what an agent left in its queue; exit code 3 when something is left.",
    ),
    "profile": Lazy(
        "escalade.cli.profile.sessions:profile",
        "Begin a session, or cut one out of the past.",
    ),
    "status": Lazy(
        "escalade.cli.profile.sessions:status",
        "Tell how the head is: its nodes, its sessions.",
    ),
    "top": Lazy(
        "escalade.cli.profile.watching:top",
        "Show all GPUs of all nodes as they are now, until Ctrl-C.",
    ),
    "stop": Lazy(
        "escalade.cli.profile.sessions:stop",
        "End one session or all, and write their files.",
    ),
    "http-profile": Lazy(
        "escalade.cli.profile.sessions:profile",
        "Begin a session, or cut one out of the past.",
    ),
    "http-status": Lazy(
        "escalade.cli.profile.sessions:status",
        "Tell how the head is: its nodes, its sessions.",
    ),
    "http-stop": Lazy(
        "escalade.cli.profile.sessions:stop",
        "End one session or all, and write their files.",
    ),
    "stat": Lazy(
        "escalade.cli.profile.stat:stat",
        "Tell what each GPU of a session came to, and draw it over time.",
    ),
    "recover": Lazy(
        "escalade.cli.profile.recovering:recover",
        "List, resume or export the sessions of a head, also of one that died.",
    ),
    "record": Lazy(
        "escalade.cli.profile.recording:record",
        "Read the GPUs of this node into one file, without a head and without other programs.",
    ),
    "export": Lazy(
        "escalade.cli.profile.recording:export",
        "Write recordings of one node or several as a session's file.",
    ),
}
app = typer.Typer(
    cls=lazy_group(COMMANDS), no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@app.callback()
def profile() -> None:
    """GPUs of many nodes, read finely: a head, agents on nodes, sessions as windows of time."""
