"""Which rates a search asks for: sequences worked out by hand, and what holds for any answers."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.load.search import (
    REPEAT_FACTOR,
    Ask,
    Done,
    Settings,
    Trial,
    bisections,
    next_step,
)

if TYPE_CHECKING:
    from collections.abc import Callable

USUAL = Settings(
    start_qps=10,
    lowest_qps=1,
    highest_qps=math.inf,
    factor=2,
    resolution=0.2,
    warmup_seconds=1,
    window_seconds=9,
    least_requests=1,
    confirmation_seconds=29,
    budget_seconds=1000,
    budget_trials=100,
)


def run(
    answer: Callable[[Ask], Trial], settings: Settings = USUAL
) -> tuple[list[Ask], list[Trial], Done]:
    """Search with a service that answers like that."""
    asked: list[Ask] = []
    trials: list[Trial] = []
    while isinstance(found := next_step(settings, trials), Ask):
        asked.append(found)
        trials.append(answer(found))
        assert len(trials) <= settings.budget_trials
    return asked, trials, found


def told(ask: Ask, judged: str, **facts: object) -> Trial:
    return Trial(ask.qps, ask.kind, ask.seconds, judged, **facts)  # type: ignore[arg-type]


def holds_to(limit: float, capacity: float = math.inf) -> Callable[[Ask], Trial]:
    """Give a service that keeps its objective up to `limit`, and saturates beyond `capacity`."""
    return lambda ask: told(
        ask, "PASS" if ask.qps <= limit else "FAIL", saturated=ask.qps > capacity
    )


def sequence(asked: list[Ask]) -> list[tuple[str, float]]:
    return [(ask.kind, round(ask.qps, 2)) for ask in asked]


def test_a_search_climbs_halves_confirms_and_overloads() -> None:
    asked, trials, done = run(holds_to(25))

    # 20 √2 = 28.28 fails, √(20 · 28.28) = 23.78 holds, and 28.28 / 23.78 = 1.19 < 1.2
    assert sequence(asked) == [
        ("climb", 10),
        ("climb", 20),
        ("climb", 40),
        ("bisect", 28.28),
        ("bisect", 23.78),
        ("confirm", 23.78),
        ("overload", 80),
        ("overload", 160),
        ("overload", 320),
    ]
    assert [ask.window_seconds for ask in asked[4:6]] == [9, 29]
    assert (done.end, done.confirmed) == ("found", "PASS")
    assert done.held_qps == pytest.approx(23.78)
    assert done.missed_qps == pytest.approx(28.28)
    assert sum(trial.seconds for trial in trials) == 8 * 10 + 30


def test_a_search_descends_when_the_first_trial_fails() -> None:
    asked, _, done = run(holds_to(3.2, capacity=4))

    assert sequence(asked) == [
        ("climb", 10),
        ("descend", 5),
        ("descend", 2.5),
        ("bisect", 3.54),
        ("bisect", 2.97),
        ("confirm", 2.97),
    ]  # 10 and 5 were over capacity 4 already: no overload is needed
    assert done.end == "found"


def test_a_service_that_never_holds_is_left_at_the_lowest_rate() -> None:
    asked, _, done = run(holds_to(0, capacity=0.5))

    assert sequence(asked) == [
        ("climb", 10),
        ("descend", 5),
        ("descend", 2.5),
        ("descend", 1.25),
        ("descend", 1),
    ]
    assert (done.end, done.held_qps, done.missed_qps) == ("none_holds", None, 1)
    assert "even at 1 requests/s" in done.reason


def test_a_service_that_always_holds_is_left_at_the_highest_rate() -> None:
    asked, _, done = run(holds_to(math.inf), replace(USUAL, highest_qps=35))

    assert sequence(asked) == [("climb", 10), ("climb", 20), ("climb", 35), ("confirm", 35)]
    assert (done.end, done.held_qps, done.missed_qps) == ("at_least", 35, None)
    assert "highest rate allowed" in done.reason


def test_a_budget_that_is_used_up_leaves_a_bracket_and_is_kept_for_the_confirmation() -> None:
    # a third trial would take 30 s of 65, and the confirmation and an overload 40 s more
    asked, _, done = run(holds_to(25, capacity=30), replace(USUAL, budget_seconds=65))

    assert sequence(asked)[1:] == [("climb", 20), ("confirm", 20), ("overload", 40)]
    assert (done.end, done.held_qps, done.missed_qps) == ("bracketed", 20, 40)
    assert "budget" in done.reason


def test_a_number_of_trials_is_a_budget_as_well() -> None:
    asked, _, done = run(holds_to(25, capacity=30), replace(USUAL, budget_trials=5))

    assert [ask.kind for ask in asked] == ["climb", "climb", "climb", "bisect", "confirm"]
    assert done.end == "bracketed"


def test_an_undecided_trial_is_repeated_once_with_a_longer_window() -> None:
    def answer(ask: Ask) -> Trial:
        if 20 < ask.qps < 25:
            return told(ask, "INCONCLUSIVE", leans=ask.kind != "bisect")
        return holds_to(25, capacity=30)(ask)

    asked, _, done = run(answer)

    assert sequence(asked)[4:] == [("bisect", 23.78), ("repeat", 23.78), ("confirm", 23.78)]
    assert asked[5].window_seconds == REPEAT_FACTOR * asked[4].window_seconds
    assert done.held_qps == pytest.approx(23.78)  # what the longer one said counts
    assert done.confirmed == "INCONCLUSIVE"


def test_while_the_bracket_is_open_an_undecided_trial_is_repeated_only_if_it_leans_nowhere() -> (
    None
):
    def answer(ask: Ask) -> Trial:
        if ask.kind == "climb" and ask.qps <= 20:
            return told(ask, "INCONCLUSIVE", leans=True if ask.qps == 10 else None)
        return holds_to(25, capacity=30)(ask)

    asked, _, _ = run(answer)

    assert sequence(asked)[:4] == [("climb", 10), ("climb", 20), ("repeat", 20), ("climb", 40)]


@pytest.mark.parametrize("leans", [False, None])
def test_an_undecided_trial_that_does_not_lean_to_holding_does_not_hold(
    leans: bool | None,  # noqa: FBT001 - of pytest
) -> None:
    def answer(ask: Ask) -> Trial:
        if ask.qps > 20:
            return told(ask, "INCONCLUSIVE", leans=leans, saturated=True)
        return told(ask, "PASS")

    _, _, done = run(answer)

    assert done.end == "found"
    assert done.held_qps == 20
    assert done.missed_qps == pytest.approx(23.78)


def test_repeats_take_nothing_that_the_search_still_needs() -> None:
    # climb 10, 20, 40 (30 s), two bisections (20 s), confirmation (30 s), overload (10 s)
    def answer(ask: Ask) -> Trial:
        return told(ask, "INCONCLUSIVE", leans=ask.qps <= 25)

    asked, _, done = run(answer, replace(USUAL, budget_seconds=99))

    assert "repeat" not in [ask.kind for ask in asked]
    assert done.end == "found"


def test_a_trial_that_is_invalid_twice_ends_the_climb_with_its_reason() -> None:
    def answer(ask: Ask) -> Trial:
        return told(ask, "INVALID", reason="client_cpu") if ask.qps == 40 else told(ask, "PASS")

    asked, _, done = run(answer)

    assert sequence(asked) == [
        ("climb", 10),
        ("climb", 20),
        ("climb", 40),
        ("climb", 40),
        ("confirm", 20),
    ]
    assert (done.end, done.held_qps) == ("at_least", 20)
    assert done.reason == "the climb ended at 40 requests/s: client_cpu"


def test_a_trial_that_is_invalid_once_does_no_harm() -> None:
    answers = iter(["INVALID"])

    def answer(ask: Ask) -> Trial:
        judged = next(answers, None) if ask.qps == 20 else None
        return told(ask, judged) if judged else holds_to(25, capacity=30)(ask)

    asked, _, done = run(answer)

    assert sequence(asked)[:4] == [("climb", 10), ("climb", 20), ("climb", 20), ("climb", 40)]
    assert done.end == "found"


def test_a_confirmation_that_fails_moves_the_bracket_down() -> None:
    def answer(ask: Ask) -> Trial:
        lucky = ask.kind == "bisect" and ask.qps < 24
        return told(ask, "PASS") if lucky else holds_to(21, capacity=30)(ask)

    asked, _, done = run(answer)

    assert sequence(asked)[4:] == [
        ("bisect", 23.78),
        ("confirm", 23.78),  # fails: the bracket is now [20, 23.78], narrow enough
        ("confirm", 20),
    ]
    assert (done.held_qps, done.confirmed) == (20, "PASS")


def test_the_end_of_the_service_ends_the_search() -> None:
    def answer(ask: Ask) -> Trial:
        if ask.qps == 40:
            return told(ask, "FAIL", gone=True, reason="the service was killed by signal 9")
        return told(ask, "PASS")

    asked, _, done = run(answer)

    assert len(asked) == 3
    assert (done.end, done.held_qps, done.missed_qps) == ("bracketed", 20, 40)
    assert done.reason == "the service was killed by signal 9"


def test_the_overload_is_a_whole_trial_at_the_lowest_rate_that_was_seen_to_saturate() -> None:
    def answer(ask: Ask) -> Trial:
        over = ask.qps > 25
        judged = "FAIL" if over else "PASS"
        return told(ask, judged, saturated=over, whole=not over or ask.kind == "overload")

    asked, _, _ = run(answer)

    assert sequence(asked)[-1] == ("overload", 28.28)


def test_windows_are_as_long_as_the_requests_need() -> None:
    slow = replace(USUAL, least_requests=144)

    assert slow.window(2, "climb") == 72
    assert slow.window(100, "climb") == 9
    assert slow.window(2, "repeat") == 144
    assert slow.window(2, "confirm") == 72
    assert slow.window(100, "confirm") == 29


@pytest.mark.parametrize(("ratio", "count"), [(1.2, 0), (1.44, 1), (2, 2), (2.0736, 2), (2.08, 3)])
def test_bisections_are_counted(ratio: float, count: int) -> None:
    assert bisections(USUAL, ratio) == count  # 1.2² = 1.44, 1.2⁴ = 2.0736


ANSWERS = st.sampled_from(["PASS", "FAIL", "INCONCLUSIVE", "INVALID"])
LEANS = st.sampled_from([True, False, None])
BOUNDS = st.builds(
    Settings,
    start_qps=st.floats(0.1, 100),
    lowest_qps=st.just(0.01),
    highest_qps=st.sampled_from([200.0, 1e4, math.inf]),
    factor=st.floats(1.1, 10),
    resolution=st.floats(0.005, 0.5),
    warmup_seconds=st.floats(0, 10),
    window_seconds=st.floats(1, 60),
    least_requests=st.integers(1, 200),
    confirmation_seconds=st.floats(1, 600),
    budget_seconds=st.floats(10, 5000),
    budget_trials=st.integers(2, 40),
)


@settings(max_examples=300, deadline=None)
@given(bounds=BOUNDS, data=st.data())
def test_whatever_the_answers_a_search_ends_within_its_budget(
    bounds: Settings, data: st.DataObject
) -> None:
    def answer(ask: Ask) -> Trial:
        return told(
            ask,
            data.draw(ANSWERS),
            leans=data.draw(LEANS),
            saturated=data.draw(st.booleans()),
            whole=ask.kind in ("confirm", "overload") or data.draw(st.booleans()),
        )

    asked, trials, done = run(answer, bounds)

    first = asked[0].seconds
    assert sum(trial.seconds for trial in trials) <= max(bounds.budget_seconds, first) * 1.0001
    assert len(trials) <= bounds.budget_trials
    assert all(bounds.lowest_qps <= ask.qps <= bounds.highest_qps for ask in asked)
    assert is_bracket(done)
    assert no_rate_comes_again(asked, trials)


@settings(max_examples=200, deadline=None)
@given(bounds=BOUNDS, limit=st.floats(0.005, 20_000))
def test_the_bracket_always_holds_the_limit(bounds: Settings, limit: float) -> None:
    _, trials, done = run(holds_to(limit, capacity=limit * 1.5), bounds)

    assert done.held_qps is None or done.held_qps <= limit
    assert done.missed_qps is None or done.missed_qps > limit
    if done.end == "found" and done.held_qps and done.missed_qps:
        assert done.missed_qps / done.held_qps <= (1 + bounds.resolution) * 1.0001
    bisected = [trial.qps for trial in trials if trial.kind == "bisect"]
    for before, after in itertools.pairwise(bisected):
        assert before != after


@given(limit=st.floats(0.5, 500))
def test_the_same_answers_ask_for_the_same_rates(limit: float) -> None:
    assert run(holds_to(limit)) == run(holds_to(limit))


def is_bracket(done: Done) -> bool:
    return not done.held_qps or not done.missed_qps or done.held_qps < done.missed_qps


def no_rate_comes_again(asked: list[Ask], trials: list[Trial]) -> bool:
    """Tell whether rates differ, but for what has a reason to come again."""
    first = [
        ask.qps
        for ask, before in zip(asked, [None, *trials], strict=False)
        if ask.kind in ("climb", "descend", "bisect")
        and (before is None or before.judged != "INVALID")
    ]
    return all(count == 1 for count in Counter(first).values())
