"""No load on a login node: the command that submits is named instead."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from escalade.campaign.login_node import refuse_load_here
from escalade.campaign.run import CampaignRun, open_run
from escalade.errors import InputError
from unit.campaign.test_progress import CONTENT

if TYPE_CHECKING:
    from pathlib import Path


def opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, pattern: str, launcher: str
) -> CampaignRun:
    """Open a campaign on a host, with a site file whose login nodes are called so."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site.yaml").write_text(f"site: meluxina\nlogin_nodes: ['{pattern}']\n")
    monkeypatch.setenv("ESCALADE_SITE", str(tmp_path / "site.yaml"))
    monkeypatch.setenv("ESCALADE_RUN_ID", "r1")
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    return open_run({**CONTENT, "execution": {"launcher": launcher}}, ["my.yaml"])


@pytest.mark.parametrize("host", ["login02", "login02.site.example"])
def test_load_is_refused_on_a_login_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    run = opened(tmp_path, monkeypatch, host, "login*", "local")

    with pytest.raises(InputError, match=r"escalade submit my\.yaml --profile profiles/meluxina"):
        refuse_load_here(run)


@pytest.mark.parametrize(
    ("host", "pattern", "launcher"),
    [
        ("mel0123", "login*", "local"),
        ("login02", "login*", "slurm"),
        ("login02", "front*", "local"),
    ],
)
def test_elsewhere_and_on_the_cluster_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, pattern: str, launcher: str
) -> None:
    refuse_load_here(opened(tmp_path, monkeypatch, host, pattern, launcher))
