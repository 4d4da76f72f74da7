"""What the command line loads before it knows that it needs it, and what its lists say."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from escalade.cli import main, monitor
from escalade.cli.main import app

if TYPE_CHECKING:
    from escalade.cli.lazy import Lazy

HEAVY = {
    "gevent",
    "jinja2",
    "locust",
    "matplotlib",
    "numpy",
    "pandas",
    "pyarrow",
    "requests",
    "scipy",
    "snakemake",
}
COMMANDS = [
    *(((), name, lazy) for name, lazy in main.COMMANDS.items()),
    *((("monitor",), name, lazy) for name, lazy in monitor.COMMANDS.items()),
]
LOADED = """
import json, sys
from escalade.cli.main import run
sys.argv = ["escalade", *json.loads(sys.argv[1])]
try:
    run()
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps([name.partition(".")[0] for name in sys.modules]), file=sys.stderr)
"""


def loaded_by(*words: str) -> set[str]:
    """Give the packages that a new process has loaded when it is through with a command."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, json.dumps(words)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout
    return set(json.loads(done.stderr))


@pytest.mark.parametrize(
    "words",
    [
        ("--version",),
        ("--help",),
        ("monitor", "--help"),
        ("monitor", "status", "--help"),
        ("monitor", "start", "--help"),
        ("verify", "--help"),
    ],
    ids=" ".join,
)
def test_what_prints_a_few_lines_loads_no_library_that_calculates(words: tuple[str, ...]) -> None:
    loaded = loaded_by(*words)

    assert "typer" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize(
    ("above", "name", "lazy"), COMMANDS, ids=[" ".join((*a, n)) for a, n, _ in COMMANDS]
)
def test_a_list_of_commands_says_what_their_own_help_begins_with(
    above: tuple[str, ...], name: str, lazy: Lazy
) -> None:
    own = lazy.load(name)

    assert own.name == name
    assert " ".join((own.help or "").split("\n\n")[0].split()) == lazy.help


def test_a_wrong_name_is_answered_with_the_nearest_one() -> None:
    done = CliRunner().invoke(app, ["monitr"])

    assert done.exit_code == 2
    assert "monitor" in done.output


def test_a_group_that_is_asked_for_nothing_lists_its_commands() -> None:
    done = CliRunner().invoke(app, ["monitor"])

    assert all(f"  {name} " in done.output for name in monitor.COMMANDS)
