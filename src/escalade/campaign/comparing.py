"""Comparing two measured campaigns: their files in, the comparison out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.analysis.compare.compared import Side, compare
from escalade.analysis.compare.comparison import MARGIN
from escalade.analysis.compare.derived import derive
from escalade.analysis.compare.primary import family_of, usual_family
from escalade.campaign.measured import read_campaign
from escalade.errors import InputError
from escalade.runtime.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from escalade.analysis.compare.primary import Primary
    from escalade.analysis.measured.cell import Slo
    from escalade.campaign.measured import MeasuredCampaign

    Told = Callable[[str], None]


def compare_campaigns(
    baseline: Path,
    candidate: Path,
    margin: float | None = None,
    primary: Sequence[str] = (),
    told: Told = lambda _: None,
) -> dict[str, Any]:
    """Derive the KPIs of two campaigns again, from their requests, and compare them.

    The objectives are those of the candidate, for both. Primary KPIs are those of `primary`, else
    those that the candidate's configuration declares, else the baseline's, else the usual ones;
    the margin likewise.

    Parameters
    ----------
    baseline, candidate
        Folders of two measured campaigns, or of stored baselines.
    margin
        Changes up to that share of the baseline are none that count; None: as declared, else 5 %.
    primary
        Written as on the command line.
    told
        Gets a line about what is done next.

    Raises
    ------
    InputError
        When one can't be read, or both hold the same measurements.
    """
    keep_freed_memory()
    _check_apart(baseline, candidate)
    before, after = (_read(path, told) for path in (baseline, candidate))
    return compare_measured(before, after, margin, primary, told)


def compare_measured(
    before: MeasuredCampaign,
    after: MeasuredCampaign,
    margin: float | None = None,
    primary: Sequence[str] = (),
    told: Told = lambda _: None,
) -> dict[str, Any]:
    """Compare two campaigns that were read, as `compare_campaigns` does.

    Raises
    ------
    InputError
        When both hold the same measurements.
    """
    _check_measured_apart(before, after)
    family = _family(primary, before, after)
    sides = [_derived(side, after.slos, told) for side in (before, after)]
    return compare(sides[0], sides[1], family, _margin(before, after) if margin is None else margin)


def _check_apart(baseline: Path, candidate: Path) -> None:
    if baseline.resolve() == candidate.resolve():
        raise InputError(
            f"{baseline} and {candidate} are the same folder. Give two campaigns: the baseline, then "
            "what is to be judged."
        )


def _check_measured_apart(baseline: MeasuredCampaign, candidate: MeasuredCampaign) -> None:
    """Refuse a comparison of measurements with themselves: it would show that nothing changed."""
    if both := baseline.logs & candidate.logs:
        raise InputError(
            f"{baseline.folder.path} and {candidate.folder.path} hold the same measurements: "
            f"{len(both)} of {len(candidate.cells)} request logs are identical. Measure the candidate "
            "anew, in a results folder of its own."
        )


def _read(path: Path, told: Told) -> MeasuredCampaign:
    return read_campaign(path, lambda cell: told(f"{path}: reading {cell}"))


def _derived(side: MeasuredCampaign, slos: Sequence[Slo], told: Told) -> Side:
    cells = []
    for cell in side.cells:
        told(f"{side.folder.path}: deriving the KPIs of {cell.name}")
        cells.append(derive(cell, slos))
    return Side(side.provenance, cells)


def _family(
    primary: Sequence[str], baseline: MeasuredCampaign, candidate: MeasuredCampaign
) -> tuple[Primary, ...]:
    if primary:
        try:
            return family_of(primary)
        except ValueError as error:
            raise InputError(f"--primary: {error}") from None
    for side in (candidate, baseline):
        declared = side.configuration.comparison
        if declared is not None and declared.primary:
            return family_of(declared.primary)
    return usual_family(candidate.slos, candidate.cells)


def _margin(baseline: MeasuredCampaign, candidate: MeasuredCampaign) -> float:
    """Give the declared threshold, as a share."""
    for side in (candidate, baseline):
        declared = side.configuration.comparison
        if declared is not None and declared.threshold_percent is not None:
            return declared.threshold_percent / 100
    return MARGIN
