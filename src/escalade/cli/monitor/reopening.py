"""`escalade monitor open`: the Prometheus data of an archive, served again."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated, Any

import typer
from rich.console import Console

from escalade.campaign.layout import CampaignFolder, CellFolder
from escalade.errors import InputError


def open_(
    archive: Annotated[
        Path,
        typer.Argument(
            help="An archive (….tar.zst), the folder of a cell, or the results' folder of a "
            "campaign with one cell."
        ),
    ],
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="On 127.0.0.1; a free one by default.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Serve archived Prometheus data again, until Ctrl-C.

    Prometheus works on a copy in $TMPDIR and scrapes nothing; the archive is not changed.
    """
    from escalade.monitoring.client import PrometheusClient  # noqa: PLC0415 - `--help` does without
    from escalade.monitoring.reopened import reopened  # noqa: PLC0415
    from escalade.monitoring.windows.extent import data_extent  # noqa: PLC0415

    path = archive_of(archive)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with reopened(path, port) as here:
            with PrometheusClient(here.url) as client:
                recorded = data_extent(client, client.now())
                metrics = client.label_values("__name__")
            _tell(_facts(path, here.url, recorded, metrics), as_json=as_json)
            here.wait()
    except KeyboardInterrupt:
        Console(stderr=True).print("Stopped; the copy is removed.", style="dim")


def archive_of(path: Path) -> Path:
    """Find the archive that a path stands for.

    Raises
    ------
    InputError
        When there is none, or there are several.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist: expected an archive, a cell or a campaign.")
    if not path.is_dir():
        return path
    own = CellFolder(path).archive
    if own.exists():
        return own
    campaign = CampaignFolder(path)
    cells = [campaign.cell(name).archive for name in campaign.cells_present()]
    archives = [cell for cell in cells if cell.exists()]
    if len(archives) == 1:
        return archives[0]
    if not archives:
        raise InputError(
            f"{path} holds no Prometheus data: expected {own.name} in it, or in one of its cells. "
            "A cell that is not over, or was measured without monitoring, has none."
        )
    listed = "\n".join(f"  escalade monitor open {cell.parent}" for cell in archives)
    raise InputError(
        f"{path} has {len(archives)} cells, each with data of its own. One of:\n{listed}"
    )


def _facts(
    path: Path, url: str, recorded: tuple[float, float] | None, metrics: list[str]
) -> dict[str, Any]:
    from escalade.monitoring.windows.window import iso  # noqa: PLC0415

    first, last = (iso(recorded[0]), iso(recorded[1] + 0.001)) if recorded else (None, None)
    query = "up" if "up" in metrics or not metrics else metrics[0]
    return {
        "url": url,
        "archive": str(path),
        "from_iso": first,
        "to_iso": last,
        "metrics": len(metrics),
        "example": f"{url}/api/v1/query?query={query}&time={recorded[1]:.3f}" if recorded else None,
    }


def _tell(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
        return
    say = Console(highlight=False, soft_wrap=True, markup=False).print
    say(f"{facts['archive']} is served at {facts['url']}")
    if facts["from_iso"] is None:
        say("It holds no samples.")
    else:
        window = f"--from-iso {facts['from_iso']} --to-iso {facts['to_iso']}"
        say(f"samples of {facts['metrics']} metrics from {facts['from_iso']} to {facts['to_iso']}")
        say(f"ask it:      curl '{facts['example']}'")
        say(f"collect it:  escalade monitor collect --prometheus {facts['url']} {window} --out DIR")
    say("Ctrl-C ends it.")
    sys.stdout.flush()
