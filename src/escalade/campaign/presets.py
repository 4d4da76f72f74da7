"""Presets of a whole campaign: a quick look, a CI job, a full run.

A preset is written out in plain settings before they are checked, as a load's scenario is; what
the user wrote wins, key by key. So the resolved configuration has no need of the preset, and runs
as it stands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from escalade.campaign.design import PAIRED

_SUITES: dict[str, dict[str, Any]] = {
    "quick": {
        "repetitions": 1,
        "warmup_seconds": 10.0,
        "window_seconds": 30.0,
        "rungs": 3,
        "standards": {"least_requests": 100, "warmup_seconds": 10.0, "when_short": "flag"},
        "search": {"window_seconds": 15.0, "confirmation_seconds": 60.0},
        "budget": {"seconds": 300.0, "trials": 12},
    },
    "ci": {
        "repetitions": 5,
        "warmup_seconds": 10.0,
        "window_seconds": 60.0,
        "rungs": 3,
        "standards": {"least_requests": 1000, "warmup_seconds": 10.0, "when_short": "flag"},
        "search": {"window_seconds": 30.0, "confirmation_seconds": 120.0},
        "budget": {"seconds": 900.0, "trials": 16},
    },
    "full": {
        "repetitions": 7,
        "warmup_seconds": 30.0,
        "window_seconds": 600.0,
        "rungs": 8,
        "standards": {"least_requests": 1000, "warmup_seconds": 10.0, "when_short": "refuse"},
        "search": {
            "window_seconds": 60.0,
            "confirmation_seconds": 600.0,
            "least_requests": 1000,
        },
        "budget": {"seconds": 7200.0, "trials": 40},
    },
}
"""What each suite gives where the user gave nothing."""
SUITES = tuple(_SUITES)
_NO_WARMUP = ("offline", "at_once")


@dataclass
class _Filled:
    """A mapping that is filled up, and a note of what was put in."""

    content: dict[str, Any]
    path: str
    given: dict[str, Any] = field(default_factory=dict)

    def default(self, name: str, value: Any) -> None:
        """Put in what is not there."""
        if self.content.get(name) is None:
            self.content[name] = value
            self.given[f"{self.path}{name}"] = value

    def below(self, name: str) -> _Filled:
        """Go down into a mapping, which is made where there is none."""
        self.content[name] = dict(self.content.get(name) or {})
        return _Filled(self.content[name], f"{self.path}{name}.", self.given)


def with_suite(content: Any) -> Any:
    """Write a campaign's `suite` out in plain settings; without one, give the content as it is."""
    return _applied(content)[0]


def given_by_suite(content: Any) -> dict[str, Any]:
    """Say what a campaign's `suite` puts in: key path to value; what the user wrote is not in it."""
    return _applied(content)[1]


def _applied(content: Any) -> tuple[Any, dict[str, Any]]:
    name = content.get("suite") if isinstance(content, Mapping) else None
    suite = _SUITES.get(name) if isinstance(name, str) else None
    sound = suite is not None and all(
        isinstance(content.get(part) or {}, Mapping) for part in ("load", "standards")
    )
    if suite is None or not sound:  # what is wrong with it is said where it is checked
        return content, {}
    whole = _Filled(dict(content), "")
    whole.default("repetitions", _repetitions(suite, content.get("design")))
    standards = whole.below("standards")
    for name, value in suite["standards"].items():
        standards.default(name, value)
    _load(whole.below("load"), suite, standards.content["least_requests"])
    return whole.content, whole.given


def _repetitions(suite: Mapping[str, Any], design: Any) -> int:
    """Give the number of repetitions; pairs that change places take an even one."""
    count: int = suite["repetitions"]
    return count + count % 2 if design == PAIRED else count


def _load(load: _Filled, suite: Mapping[str, Any], least: Any) -> None:
    if not {load.content.get("scenario"), load.content.get("arrivals")} & {*_NO_WARMUP}:
        load.default("warmup_seconds", suite["warmup_seconds"])
    if isinstance(load.content.get("search"), Mapping):
        search = load.below("search")
        for name, value in suite["search"].items():
            search.default(name, value)
        if isinstance(search.content.get("budget") or {}, Mapping):
            budget = search.below("budget")
            for name, value in suite["budget"].items():
                budget.default(name, value)
    if isinstance(load.content.get("span"), Mapping):
        span = load.below("span")
        for name, value in (
            ("rungs", suite["rungs"]),
            ("window_seconds", suite["window_seconds"]),
            ("least_requests", least),
        ):
            span.default(name, value)
    ladder = load.content.get("ladder")
    if isinstance(ladder, Sequence) and not isinstance(ladder, str):
        load.content["ladder"] = [
            _rung(rung, number, load, suite["window_seconds"], least)
            for number, rung in enumerate(ladder)
        ]


def _rung(rung: Any, number: int, load: _Filled, window: float, least: Any) -> Any:
    """Give a rung a window that holds the floor of requests; of samples the user says how long."""
    if not isinstance(rung, Mapping) or rung.get("samples") is not None:
        return rung
    filled = _Filled(dict(rung), f"{load.path}ladder[{number}].", load.given)
    filled.default("window_seconds", window_for(rung.get("target_qps"), window, least))
    return filled.content


def window_for(rate: Any, window: float, least: Any) -> float:
    """Give the length of a window in s: `window`, or longer where it would hold fewer than `least`."""
    usable = isinstance(rate, int | float) and isinstance(least, int | float) and rate > 0
    return max(window, float(math.ceil(least / rate))) if usable else window
