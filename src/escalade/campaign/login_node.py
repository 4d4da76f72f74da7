"""Login nodes are for submission: no load is run there."""

from __future__ import annotations

import shlex
import socket
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from escalade.campaign.site import load_site, shipped_sites
from escalade.errors import InputError

if TYPE_CHECKING:
    from escalade.campaign.run import CampaignRun
    from escalade.campaign.site import Site


def refuse_load_here(run: CampaignRun) -> None:
    """Refuse to run service and load on this machine when the site calls it a login node.

    Raises
    ------
    InputError
        With the command that submits the campaign instead.
    """
    execution = run.plan.campaign.execution
    if execution.launcher != "local" or not run.unfinished:
        return
    site = load_site(execution.site)
    if (host := login_node(site)) is not None:
        raise InputError(
            f"This is {host}, a login node of {site.site} (login_nodes in {site.source}): no load is "
            f"run here. Submit the campaign instead: {submit_words(run, site)}"
        )


def login_node(site: Site) -> str | None:
    """Give this machine's name if the site calls it a login node."""
    host = socket.gethostname()
    names = {host, host.partition(".")[0]}
    patterns = site.login_nodes
    return host if any(fnmatch(name, pattern) for name in names for pattern in patterns) else None


def submit_words(run: CampaignRun, site: Site) -> str:
    """Give the command that submits a campaign at a site."""
    shipped = shipped_sites().get(site.site)
    profile = "profiles/slurm" if shipped is None else f"profiles/{shipped.parent.name}"
    return shlex.join(["escalade", "submit", run.source, "--profile", profile])
