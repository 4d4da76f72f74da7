"""What holds for every log."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from escalade.analysis.kpis.catalogue import PERCENTILES
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import CellData, Slo
from escalade.analysis.measured.series import Samples
from escalade.analysis.measured.windows import Window
from escalade.analysis.verdicts.judge import judge
from unit.analysis.builders import GOOD_CLIENT, Request, Step, cell, scraped, up

ERRORS = st.sampled_from([None, None, None, "timeout", "http_5xx", "not_sent", "unfinished"])
LATENCY = st.floats(0.001, 20.0)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    error = draw(ERRORS)
    latency = None if error in ("not_sent", "unfinished") else draw(LATENCY)
    parts = draw(st.lists(st.floats(0.01, 1.0), max_size=5))
    chunks = () if latency is None else tuple(sorted(latency * part for part in parts))
    planned = draw(st.floats(-5.0, 9.999))
    return Request(
        planned, latency, planned + draw(st.floats(0.0, 0.1)), chunks=chunks, error=error
    )


LOGS = st.lists(requests(), max_size=60)
FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def data_of(log: list[Request]) -> CellData:
    seconds = [float(at) for at in range(-2, 13)]
    samples = up({"instance": "a", "job": "node"}, seconds)
    return cell(Step(log, client=GOOD_CLIENT, samples=samples))


def number(kpis: pd.DataFrame, metric: str, stat: str = "value") -> float:
    rows = kpis[(kpis["metric"] == metric) & (kpis["stat"] == stat)]
    return float(rows["value"].iloc[0])


@FEW
@given(LOGS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(log: list[Request], random: object) -> None:
    data = data_of(log)
    shuffled = replace(
        data, requests=data.requests.sample(frac=1.0, random_state=random.randrange(2**31))
    )  # type: ignore[attr-defined]

    pd.testing.assert_frame_equal(cell_kpis(data), cell_kpis(shuffled))


@FEW
@given(LOGS)
def test_numbers_stay_in_their_bounds_and_missing_is_never_a_number(log: list[Request]) -> None:
    kpis = cell_kpis(data_of(log), [Slo("a", "latency_seconds", "p50", 1.0)])

    absent = kpis["quality"].str.startswith(("missing", "not estimable"))
    assert kpis.loc[absent, "value"].isna().all()
    known = kpis[~absent]
    assert np.isfinite(known["value"]).all()
    assert (known.loc[known["metric"].str.endswith("_ratio"), "value"] >= 0).all()
    shares = known[known["metric"].isin(["error_ratio", "late_ratio", "scrape_coverage_ratio"])]
    assert shares["value"].between(0, 1).all()
    bounded = known[known["ci_low"].notna()]
    assert (bounded["ci_low"] <= bounded["value"]).all()
    assert (bounded["value"] <= bounded["ci_high"]).all()


@FEW
@given(LOGS)
def test_percentiles_ascend_and_stay_below_the_maximum(log: list[Request]) -> None:
    kpis = cell_kpis(data_of(log))

    points = [number(kpis, "latency_seconds", stat) for stat in (*PERCENTILES, "max")]
    known = [point for point in points if np.isfinite(point)]
    assert known == sorted(known)


@FEW
@given(LOGS, st.floats(0.01, 10.0), st.floats(1.0, 3.0))
def test_a_tighter_objective_never_raises_goodput(
    log: list[Request], limit: float, looser: float
) -> None:
    tight, loose = (
        number(cell_kpis(data_of(log), [Slo("a", "latency_seconds", "p50", each)]), "goodput_qps")
        for each in (limit, limit * looser)
    )

    assert not tight > loose
    if log and np.isfinite(tight):
        assert tight <= number(cell_kpis(data_of(log)), "offered_qps") + 1e-9


@FEW
@given(LOGS)
def test_one_more_failure_never_lowers_the_error_ratio(log: list[Request]) -> None:
    good = [request for request in log if request.error is None and request.planned >= 0]
    before = number(cell_kpis(data_of(log)), "error_ratio")
    if not good:
        return
    worse = [
        replace(request, error="timeout") if request is good[0] else request for request in log
    ]

    assert number(cell_kpis(data_of(worse)), "error_ratio") > before


@settings(FEW, max_examples=6)
@given(LOGS, st.sampled_from([0.05, 0.5, 5.0]))
def test_a_verdict_never_turns_from_pass_to_fail_when_the_limit_is_loosened(
    log: list[Request], limit: float
) -> None:
    data = data_of(log)
    verdicts = []
    for each in (limit, 2 * limit, 1e6):
        slos = [Slo("a", "latency_seconds", "p50", each)]
        found = judge(cell_kpis(data, slos), [data], slos)
        json.dumps(found, allow_nan=False)
        verdicts.append(found["slos"][0]["verdict"])

    order = {"FAIL": 0, "INCONCLUSIVE": 1, "INVALID": 1, "PASS": 2}
    ranks = [order[verdict] for verdict in verdicts]
    assert all(not (earlier == 2 and later == 0) for earlier, later in itertools.pairwise(ranks))


COUNTS = st.lists(st.integers(0, 50), min_size=2, max_size=12)


@settings(FEW, max_examples=60)
@given(COUNTS, st.integers(0, 11))
def test_a_restart_never_makes_a_counter_shrink_nor_lose_what_was_seen(
    growth: list[int], restart: int
) -> None:
    total, levels = 0, {}
    for at, more in enumerate(growth):
        total = more if at == restart and at > 0 else total + more
        levels[float(at)] = float(total)
    frame = cell(Step(samples=scraped("c", {}, levels), seconds=20.0)).series
    samples = Samples(frame, 1.0)
    start = float(frame["timestamp"].min())

    found = samples.growth(samples.tracks("c"), Window(start, start + 20))

    assert found is not None
    assert found.amount >= 0
    if restart == 0 or restart >= len(growth):
        assert found.amount == sum(growth[1:])
    elif levels[float(restart)] < levels[float(restart - 1)]:
        assert found.amount == sum(growth[1:])  # the restart's own count is all growth
