"""Loads without a rate, and MLPerf's scenarios, as a user writes them.

A scenario is a preset: it is written out in plain settings, and what it fixes may not be
contradicted. The ways of sending and the metrics are those of the MLPerf Inference rules,
section "Scenarios" (github.com/mlcommons/inference_policies); their durations and audits
are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

LEVELS = ("target_qps", "concurrency", "samples")
"""What tells the rungs of a ladder apart: one of them."""
LEVEL_OF = {"closed": "concurrency", "at_once": "samples"}
"""By arrivals; all others have target_qps."""
_LOADS: dict[str, dict[str, Any]] = {
    "single_stream": {"arrivals": "closed", "samples_per_query": 1},
    "multi_stream": {"arrivals": "closed", "samples_per_query": 8},
    "server": {"arrivals": "poisson"},
    "offline": {"arrivals": "at_once"},
}
_RUNGS: dict[str, dict[str, Any]] = {
    "single_stream": {"concurrency": 1},
    "multi_stream": {"concurrency": 1},
}


def written_out(content: Any) -> Any:
    """Write a scenario out in plain settings; without one, only what follows from the arrivals.

    Raises
    ------
    ValueError
        When a setting contradicts it, saying which, and what to do.
    """
    if not isinstance(content, Mapping):
        return content
    load = dict(content)
    scenario = load.get("scenario")
    if scenario in _LOADS:
        load |= _fixed(load, _LOADS[scenario], f"scenario {scenario}", "load")
    if load.get("arrivals") == "at_once":
        load |= _fixed(load, {"warmup_seconds": 0.0}, "arrivals at_once", "load")
    if scenario in _RUNGS and isinstance(load.get("ladder"), Sequence):
        load["ladder"] = [_rung(rung, scenario) for rung in load["ladder"]]
    return load


def _rung(rung: Any, scenario: str) -> Any:
    if not isinstance(rung, Mapping):
        return rung
    for other in LEVELS:
        if rung.get(other) is not None and other not in _RUNGS[scenario]:
            raise ValueError(
                f"scenario {scenario} sends the next query when the last one has ended, so its "
                f"rungs have no {other}; leave it out"
            )
    return {**rung, **_fixed(rung, _RUNGS[scenario], f"scenario {scenario}", "a rung")}


def _fixed(
    content: Mapping[str, Any], fixed: Mapping[str, Any], who: str, where: str
) -> dict[str, Any]:
    for name, value in fixed.items():
        given = content.get(name)
        if given is not None and given != value:
            number = f"{value:g}" if isinstance(value, int | float) else value
            raise ValueError(
                f"{who} fixes {name}: {number}, but {where} says {given}; leave {name} out"
            )
    return dict(fixed)


def check_rung(given: Mapping[str, Any]) -> None:
    """Insist on exactly one of LEVELS.

    Raises
    ------
    ValueError
        Saying which there are.
    """
    names = [name for name in LEVELS if given.get(name) is not None]
    if len(names) != 1:
        has = " and ".join(names) or "none of them"
        raise ValueError(
            f"a rung has exactly one of target_qps (a rate), concurrency (a closed loop) and "
            f"samples (sent at once); this one has {has}"
        )
    if given.get("max_requests") is not None and names != ["concurrency"]:
        raise ValueError("max_requests goes with concurrency only")
    if names == ["samples"] and given.get("warmup_seconds"):
        raise ValueError("samples that are sent at once have no warm-up; leave warmup_seconds out")


def check_ladder(
    arrivals: str, rungs: Sequence[Mapping[str, Any]], samples_per_query: int, workers: int
) -> None:
    """Insist on rungs that fit the arrivals and ascend.

    Raises
    ------
    ValueError
        Saying what does not fit, and what to do.
    """
    level = LEVEL_OF.get(arrivals, "target_qps")
    for number, rung in enumerate(rungs, start=1):
        if rung.get(level) is None:
            other = next(name for name in LEVELS if rung.get(name) is not None)
            raise ValueError(
                f"arrivals is {arrivals}, whose rungs have {level}, but step {number} has {other}; "
                f"{_advice(other)}"
            )
    levels = [rung[level] for rung in rungs]
    if any(later <= earlier for earlier, later in pairwise(levels)):
        raise ValueError(f"the ladder's {level} must ascend, but they are {levels}")
    if samples_per_query > 1 and arrivals != "closed":
        raise ValueError("samples_per_query goes with arrivals: closed only")
    if arrivals == "closed" and workers > levels[0]:
        raise ValueError(
            f"workers is {workers}, but step 1 has only {levels[0]} in flight; each worker needs "
            "one: lower workers"
        )


def _advice(level: str) -> str:
    kind = next((kind for kind, name in LEVEL_OF.items() if name == level), None)
    if kind is None:
        return "give all rungs the same key"
    return f"write arrivals: {kind}, or give all rungs the same key"
