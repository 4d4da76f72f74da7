"""Each workload of a mix has KPIs of its own beside those of the whole step."""

from __future__ import annotations

import pandas as pd
import pytest

from escalade.analysis.kpis.catalogue import TIMES
from escalade.analysis.kpis.interactivity import PER_USER
from escalade.analysis.kpis.readings import rows_of
from escalade.analysis.kpis.table import cell_kpis, summary
from escalade.analysis.measured.cell import CellData, Slo
from escalade.analysis.verdicts.judge import judge
from unit.analysis.builders import Request, Step, cell

CHAT = [Request(planned=0.5 * k, latency=1.0, chunks=(0.2, 1.0)) for k in range(12)]
EMBED = [Request(planned=6.0 + 0.5 * k, latency=0.1, chunks=()) for k in range(8)]


def mixed() -> CellData:
    """Give 12 chats of 1 s, and 8 embeddings of 0.1 s of which one failed, in 10 s."""
    failing = Request(planned=9.5, latency=0.1, error="http_5xx")
    data = cell(Step([*CHAT, *EMBED[:7], failing]))
    data.requests["workload"] = ["chat"] * 12 + ["embed"] * 8
    return data


def value(
    kpis: pd.DataFrame, metric: str, stat: str = "value", workload: str | None = None
) -> float:
    rows = rows_of(kpis, workload)
    (found,) = rows[(rows["metric"] == metric) & (rows["stat"] == stat)]["value"]
    return float(found)


def test_latency_errors_and_rates_of_each_kind() -> None:
    kpis = cell_kpis(mixed())

    assert value(kpis, "offered_qps") == pytest.approx(2.0)
    assert value(kpis, "offered_qps", workload="chat") == pytest.approx(1.2)
    assert value(kpis, "offered_qps", workload="embed") == pytest.approx(0.8)
    assert value(kpis, "latency_seconds", "p50", "chat") == pytest.approx(1.0)
    assert value(kpis, "latency_seconds", "p50", "embed") == pytest.approx(0.1)
    assert value(kpis, "error_ratio") == pytest.approx(1 / 20)
    assert value(kpis, "error_ratio", workload="chat") == 0
    assert value(kpis, "error_ratio", workload="embed") == pytest.approx(1 / 8)
    # What belongs to the whole has no row of a part.
    assert "requests_in_flight" not in set(rows_of(kpis, "chat")["metric"])


def test_the_whole_is_what_it_was_without_a_mix() -> None:
    data = mixed()
    kpis = cell_kpis(data)
    data.requests["workload"] = None
    alone = cell_kpis(data)

    streamed = [*TIMES[1:], PER_USER]  # of chats alone in a mix
    whole, same = (
        frame[~frame["metric"].isin(streamed)].reset_index(drop=True)
        for frame in (rows_of(kpis), alone)
    )
    pd.testing.assert_frame_equal(whole, same)
    pd.testing.assert_frame_equal(summary(kpis), summary(alone))


def test_an_objective_judges_the_workload_that_it_names() -> None:
    slos = [
        Slo("all", "latency_seconds", "p50", 0.5),
        Slo("embeddings", "latency_seconds", "p50", 0.5, workload="embed"),
    ]
    data = mixed()
    kpis = cell_kpis(data, slos)
    verdicts = judge(kpis, [data], slos)

    whole, embed = verdicts["slos"]
    assert whole["value"] == pytest.approx(1.0)
    assert "workload" not in whole
    assert (embed["value"], embed["workload"], embed["n"]) == (pytest.approx(0.1), "embed", 8)
    # Goodput of the whole counts all answers within its limit, that of a part its own alone.
    good = kpis[kpis["metric"] == "goodput_qps"].set_index("source")["value"]
    assert good['requests.parquet{slo="all"}'] == pytest.approx(0.7)
    assert good['requests.parquet{slo="embeddings",workload="embed"}'] == pytest.approx(0.7)
    assert len(good) == 2


def test_the_sample_floor_is_that_of_the_workload_judged() -> None:
    slos = [Slo("embeddings", "latency_seconds", "p50", 0.5, workload="embed")]
    data = mixed()
    gates = judge(cell_kpis(data, slos), [data], slos)["gates"]

    (floor,) = [gate for gate in gates if gate["gate"] == "sample_floor"]
    assert floor["value"] == 8
    assert "8 requests of embed suffice" in floor["detail"]


def test_what_never_comes_in_chunks_is_no_first_token_that_never_came() -> None:
    slos = [Slo("first", "ttft_seconds", "p50", 0.5)]
    data = mixed()
    kpis = cell_kpis(data, slos)

    assert value(kpis, "ttft_seconds", "p50") == pytest.approx(0.2)
    assert value(kpis, "ttft_seconds", "p50", "chat") == pytest.approx(0.2)
    assert value(kpis, "goodput_qps") == pytest.approx(1.2)
    # A gap of 0.8 s in each chat; the failed embedding had none to give.
    assert value(kpis, "itl_seconds", "mean") == pytest.approx(0.8)
    # A chat that failed counts as ever: its first token never came.
    data.requests.loc[:5, "error"] = "http_5xx"
    assert value(cell_kpis(data, slos), "goodput_qps") == pytest.approx(0.6)
