"""What Slurm is asked for to run a session: as said, and as the site says where nothing is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.errors import InputError

if TYPE_CHECKING:
    from escalade.monitoring.sessions.life import JobWish

_DEFAULT_HOURS = 4.0


def job_wish(
    partition: str | None, account: str | None, qos: str | None, time: str | None
) -> JobWish:
    """Say what Slurm is asked for.

    Parameters
    ----------
    partition, account, qos
        Those of the site file where None.
    time
        Minutes, HH:MM:SS or D-HH:MM:SS; 4 hours, or what the site allows, where None.

    Raises
    ------
    InputError
        When there is no Slurm, the site needs more, or a value is none.
    """
    from escalade.campaign.limits import check_component, hours_allowed  # noqa: PLC0415 - rarely
    from escalade.campaign.site import load_site  # noqa: PLC0415
    from escalade.monitoring.sessions.life import JobWish  # noqa: PLC0415
    from escalade.runtime.slurm.commands import Slurm  # noqa: PLC0415
    from escalade.runtime.slurm.notation import parse_time  # noqa: PLC0415
    from escalade.runtime.slurm.request import ComponentRequest  # noqa: PLC0415

    if not Slurm().available():
        raise InputError(
            "There is no Slurm on this machine: leave out --slurm, --partition, --account, --qos "
            "and --time, then Prometheus runs here."
        )
    site = load_site()
    usual = site.slurm.client
    component = ComponentRequest(
        "client",
        partition=partition or usual.partition,
        account=account or usual.account or site.account,
        qos=qos or usual.qos or site.qos,
        constraint=usual.constraint,
        reservation=usual.reservation,
    )
    for key in site.required:
        if getattr(component, key) is None:
            raise InputError(f"Site {site.site} takes no job without {key}: name it with --{key}.")
    check_component(component, site)
    seconds = _DEFAULT_HOURS * 3600
    allowed = min((hours for _, _, hours in hours_allowed(component, site)), default=_DEFAULT_HOURS)
    if time is None:
        seconds = min(seconds, allowed * 3600)
    else:
        found = parse_time(f"{time}:00" if time.isdigit() else time)
        if not found:
            raise InputError(
                f"--time {time!r}: expected minutes, HH:MM:SS or D-HH:MM:SS, as in 90 or 01:30:00."
            )
        seconds = found
    setup = tuple(site.defaults().get("setup", ()))
    return JobWish(component, seconds, setup, site.slurm.interface)
