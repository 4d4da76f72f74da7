"""Two measurements of components, compared by their repetitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from escalade.analysis.compare.component_changes import component_changes
from escalade.analysis.scenarios.components import component_rows

OLD = [1.0, 1.01, 0.99, 1.02, 0.98, 1.005, 0.995]
SLOW = [1.2 * value for value in OLD]


def entry(medians: list[float], name: str = "spawn", **changes: Any) -> dict[str, Any]:
    """Give a measured component whose repetitions have these medians."""
    metric = {"name": "seconds", "unit": "s", "better": changes.pop("better", "lower")}
    spread = np.random.default_rng(1).permutation(np.linspace(0.9, 1.1, 101))
    rows = component_rows(name, metric, [median * spread for median in medians])
    for row in rows:
        row["value"] = None if np.isnan(row["value"]) else row["value"]
    return {
        "component": name,
        "status": "measured",
        "reason": "",
        "definition": {"kind": name, "iterations": 1000},
        "environment": {"host": {"cpu_model": "EPYC"}, "gpus": []},
        "rows": rows,
        **changes,
    }


def compared(before: list[Any], after: list[Any]) -> dict[str, Any]:
    return component_changes({"components": before}, {"components": after})


def verdicts(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(row["component"], row["stat"], row["verdict"]) for row in found["rows"]]


def test_a_slower_one_is_a_regression() -> None:
    found = compared([entry(OLD)], [entry(SLOW)])

    assert (found["conclusion"], found["exit_code"]) == ("regression", 1)
    median = found["rows"][0]
    assert (median["stat"], median["role"], median["n_baseline"]) == ("p50", "primary", 7)
    assert median["relative"] == pytest.approx(0.2, abs=0.005)
    assert median["ci_low"] < 0.2 < median["ci_high"]
    # all 49 pairs are slower: 2 of the C(14, 7) = 3432 arrangements are as far apart
    assert median["p"] == pytest.approx(2 / 3432)
    assert found["rows"][1]["role"] == "exploratory"


def test_of_rates_more_is_better() -> None:
    found = compared([entry(OLD, better="higher")], [entry(SLOW, better="higher")])

    assert (found["rows"][0]["verdict"], found["exit_code"]) == ("better", 0)


def test_the_same_again_shows_no_change() -> None:
    found = compared([entry(OLD)], [entry(OLD[::-1])])

    assert (found["conclusion"], found["exit_code"]) == ("no regression shown", 0)


def test_a_single_repetition_decides_nothing() -> None:
    found = compared([entry(OLD[:1])], [entry(SLOW[:1])])

    assert (found["conclusion"], found["exit_code"]) == ("undecided", 4)
    assert "1 against 1 repetitions can't decide" in found["rows"][0]["reason"]


def test_the_medians_of_all_are_one_family() -> None:
    # five against five: p = 0.0079 alone, and 0.0079 · 7 > 5 % among seven
    alone = compared([entry(OLD[:5])], [entry(SLOW[:5])])
    names = [f"c{number}" for number in range(7)]
    many = compared(
        [entry(OLD[:5], name) for name in names],
        [entry((SLOW if name == "c0" else OLD[::-1])[:5], name) for name in names],
    )

    assert alone["conclusion"] == "regression"
    assert many["rows"][0]["verdict"] == "inconclusive"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"definition": {"kind": "other", "iterations": 1000}}, "another definition: kind differs"),
        ({"environment": {"host": {"cpu_model": "Xeon"}}}, "another CPU: EPYC against Xeon"),
        (
            {"environment": {"host": {"cpu_model": "EPYC"}, "gpus": [{"name": "A100"}]}},
            "another GPU: none against A100",
        ),
        ({"status": "not available", "reason": "no engine"}, "candidate: not available, no engine"),
    ],
)
def test_what_is_not_comparable_says_why(changed: dict[str, Any], said: str) -> None:
    found = compared([entry(OLD)], [{**entry(OLD), **changed}])

    assert (found["conclusion"], found["exit_code"]) == ("not comparable", 2)
    assert [row["reason"] for row in found["rows"]] == [said]


def test_more_iterations_are_the_same_thing() -> None:
    longer = {"definition": {"kind": "spawn", "iterations": 5000}}

    assert compared([entry(OLD)], [{**entry(OLD), **longer}])["exit_code"] == 0


def test_one_that_is_new_or_gone_leaves_it_undecided() -> None:
    found = compared([entry(OLD)], [entry(OLD[::-1]), entry(OLD, "new")])

    assert found["conclusion"] == "undecided"
    assert verdicts(found)[-1] == ("new", "p50", "not comparable")
    assert found["rows"][-1]["reason"] == "it is in the candidate alone"
