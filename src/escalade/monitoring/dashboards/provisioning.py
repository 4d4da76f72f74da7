"""What Grafana reads at its start: where Prometheus is, and where the dashboards are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from escalade.files import write_text
from escalade.monitoring.dashboards.board import SOURCE_UID

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from escalade.monitoring.dashboards.board import Board

DASHBOARDS = "dashboards"
PROVISIONING = "provisioning"


def write_boards(
    boards: Iterable[Board], out: Path, *, prometheus: str, scrape_interval: str, seen_at: str
) -> list[Path]:
    """Write dashboards, and the files by which Grafana finds them and their Prometheus.

    Parameters
    ----------
    boards
        The dashboards.
    out
        Folder: gets `dashboards/` and `provisioning/`, the latter for `GF_PATHS_PROVISIONING`.
    prometheus
        URL, as Grafana reaches it.
    scrape_interval
        Of that Prometheus, as in "1s": a rate's window is four of them at least.
    seen_at
        Path of `out` where Grafana runs.

    Returns
    -------
    list of Path
        What was written. The same arguments give the same bytes.

    Raises
    ------
    InfrastructureError
        When a file can't be written.
    """
    texts = {out / DASHBOARDS / f"{board.uid}.json": board.to_json() for board in boards}
    provisioning = out / PROVISIONING
    source = provisioning / "datasources" / "escalade.yaml"
    provider = provisioning / "dashboards" / "escalade.yaml"
    texts[source] = _yaml(_source(prometheus, scrape_interval))
    texts[provider] = _yaml(_provider(f"{seen_at.rstrip('/')}/{DASHBOARDS}"))
    for path, text in texts.items():
        write_text(path, text)
    return list(texts)


def _source(url: str, scrape_interval: str) -> dict[str, Any]:
    return {
        "apiVersion": 1,
        "datasources": [
            {
                "name": "Escalade",
                "uid": SOURCE_UID,
                "type": "prometheus",
                "access": "proxy",
                "url": url,
                "editable": False,
                "jsonData": {"timeInterval": scrape_interval, "httpMethod": "POST"},
            }
        ],
    }


def _provider(path: str) -> dict[str, Any]:
    return {
        "apiVersion": 1,
        "providers": [
            {
                "name": "Escalade",
                "folder": "Escalade",
                "type": "file",
                "allowUiUpdates": False,
                "options": {"path": path, "foldersFromFilesStructure": False},
            }
        ],
    }


def _yaml(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
