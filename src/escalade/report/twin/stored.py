"""The verdicts as they are stored, with the keys that every row of the twin has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.report.twin.plain import number, plain, text, whole
from escalade.report.twin.verdicts import (
    Capacity,
    Finding,
    FrontPoint,
    Gate,
    OverRuns,
    Slo,
    Verdicts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBERS = ("value", "limit", "ci_low", "ci_high", "n")


def verdicts_of(stored: Mapping[str, Any]) -> Verdicts:
    """Give verdicts.json with the keys that every row has to have, and all that it has besides."""
    known_sections = {"slos", "gates", "capacity", "findings", "bounds", "runs", "front"}
    others = {key: plain(value) for key, value in stored.items() if key not in known_sections}
    findings, bounds = stored.get("findings"), stored.get("bounds")
    runs, front = stored.get("runs"), stored.get("front")
    return Verdicts(
        slos=[_slo(row) for row in _rows(stored.get("slos"))],
        gates=[_gate(row) for row in _rows(stored.get("gates"))],
        capacity=[_capacity(row) for row in _rows(stored.get("capacity"))],
        findings=None if findings is None else [_finding(row) for row in _rows(findings)],
        bounds=None if bounds is None else [plain(row) for row in _rows(bounds)],
        runs=None if runs is None else [_over_runs(row) for row in _rows(runs)],
        front=None if front is None else [_front_point(row) for row in _rows(front)],
        **others,
    )


def _slo(row: Mapping[str, Any]) -> Slo:
    texts = {key: text(row.get(key)) for key in ("slo", "deployment", "metric", "stat", "unit")}
    return Slo(
        **{
            **_rest(row),
            **texts,
            "cell": _named(row.get("cell")),
            "verdict": text(row.get("verdict")) or "NOT_RUN",
            "counts": row.get("counts") is True,
            "reason": text(row.get("reason")),
        }
    )


def _gate(row: Mapping[str, Any]) -> Gate:
    texts = {key: text(row.get(key)) for key in ("cell", "gate", "unit", "outcome", "detail")}
    return Gate(
        **{
            **_rest(row),
            **texts,
            "step": whole(row.get("step")),
            "invalidates": row.get("invalidates") is not False,
        }
    )


def _capacity(row: Mapping[str, Any]) -> Capacity:
    numbers = {
        key: number(row.get(key))
        for key in (
            *("capacity_qps", "ci_low", "ci_high"),
            *("slo_capacity_qps", "slo_passed_qps", "slo_failed_qps"),
        )
    }
    texts = {key: text(row.get(key)) for key in ("deployment", "reason")}
    return Capacity(**{**plain(row), **numbers, **texts, "cell": _named(row.get("cell"))})


def _finding(row: Mapping[str, Any]) -> Finding:
    names = ("rule", "kind", "title", "measured", "means", "why")
    options = row.get("next")
    following = [text(each) for each in options] if isinstance(options, list) else []
    return Finding(
        **{**plain(row), **{key: text(row.get(key)) for key in names}, "next": following}
    )


def _over_runs(row: Mapping[str, Any]) -> OverRuns:
    texts = {
        key: text(row.get(key))
        for key in ("deployment", "metric", "stat", "label", "unit", "reason")
    }
    counts = {key: whole(row.get(key)) or 0 for key in ("step", "n", "repetitions")}
    numbers = {key: number(row.get(key)) for key in ("value", "ci_low", "ci_high")}
    return OverRuns(**{**plain(dict(row)), **texts, **counts, **numbers})


def _front_point(row: Mapping[str, Any]) -> FrontPoint:
    return FrontPoint(
        **{
            **plain(dict(row)),
            **{key: text(row.get(key)) for key in ("deployment", "stat")},
            **{key: number(row.get(key)) for key in ("throughput_qps", "latency_seconds")},
            "step": whole(row.get("step")) or 0,
            "on_front": row.get("on_front") is True,
        }
    )


def _rest(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give a row with numbers where numbers belong."""
    return {**plain(dict(row)), **{key: number(row.get(key)) for key in _NUMBERS}}


def _named(value: Any) -> str | None:
    return None if value is None else text(value)


def _rows(value: Any) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
