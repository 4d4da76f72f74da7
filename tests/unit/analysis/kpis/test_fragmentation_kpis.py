"""Events of fragmentation in a step, by hand: from a PyTorch service's own counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from escalade.analysis.kpis import fragmentation_kpis as kpis_of_pieces
from escalade.analysis.kpis.readings import label_of
from escalade.analysis.kpis.table import cell_kpis
from escalade.gpu import fragmentation as shown
from unit.analysis.builders import SERVICE_TARGET, Request, Step, cell, scraped, up

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

SECONDS = [float(at) for at in range(-2, 13)]
DEVICE = {"device": "0", "uuid": "GPU-1"}


def counter(metric: str, rate: float, **labels: str) -> list[Any]:
    own = {**SERVICE_TARGET, **DEVICE, **labels}
    return scraped(metric, own, {at: 100 + rate * at for at in SECONDS})


def kpis_with(*samples: Any) -> pd.DataFrame:
    rows = [row for part in samples for row in part]
    return cell_kpis(
        cell(Step((Request(1.0),), 10.0, samples=[*rows, *up(SERVICE_TARGET, SECONDS)]))
    )


def one(kpis: pd.DataFrame, metric: str, stat: str = "value", **labels: str) -> Any:
    source = "series.parquet" + (label_of(labels) if labels else "")
    found = kpis[(kpis["metric"] == metric) & (kpis["stat"] == stat) & (kpis["source"] == source)]
    assert len(found) == 1, kpis[kpis["metric"] == metric]
    return found.iloc[0]


def own_counters(failed: float = 0.0, retried: float = 0.0, lacked: float = 0.0) -> list[Any]:
    return [
        *counter(shown.FRAGMENTATION, failed, kind="oom"),
        *counter(shown.FRAGMENTATION, retried, kind="retry"),
        *counter(shown.CAPACITY, lacked),
    ]


def test_the_names_are_those_that_services_show() -> None:
    names = ("FRAGMENTATION", "CAPACITY", "UNJUDGED", "RATIO", "SWARM")

    assert [getattr(kpis_of_pieces, name) for name in names] == [
        getattr(shown, name) for name in names
    ]


def test_events_of_the_window_are_told_apart_by_what_became_of_them() -> None:
    kpis = kpis_with(own_counters(failed=2.0, retried=3.0, lacked=1.0))

    # from the sample at 0 s to the one at 9 s, the last before the window's end
    assert one(kpis, "cuda_fragmentation_events", kind="oom").value == 18
    assert one(kpis, "cuda_fragmentation_events", kind="retry").value == 27
    assert one(kpis, "cuda_capacity_events").value == 9
    assert one(kpis, "cuda_fragmentation_events", kind="oom").ci_method == "exact, counted"


def test_devices_are_added_up() -> None:
    second = {"device": "1", "uuid": "GPU-2"}
    more = counter(shown.FRAGMENTATION, 1.0, kind="oom", **second)

    kpis = kpis_with(own_counters(failed=2.0), more)

    assert one(kpis, "cuda_fragmentation_events", kind="oom").value == 27


def test_a_service_that_counted_none_has_zero_and_one_that_does_not_count_has_no_row() -> None:
    assert one(kpis_with(own_counters()), "cuda_fragmentation_events", kind="oom").value == 0
    assert not kpis_with()["metric"].str.startswith("cuda_").any()


def test_failures_that_nobody_judged_flag_what_may_be_too_few() -> None:
    kpis = kpis_with(own_counters(failed=1.0, retried=1.0), counter(shown.UNJUDGED, 1.0))

    for found in (
        one(kpis, "cuda_fragmentation_events", kind="oom"),
        one(kpis, "cuda_capacity_events"),
    ):
        assert found.quality == "flagged: 9 more allocations failed, and their size was not seen"
    assert one(kpis, "cuda_fragmentation_events", kind="retry").quality == "ok"


def test_the_name_of_the_swarm_counts_where_there_is_no_other() -> None:
    alone = kpis_with(counter(shown.SWARM, 2.0))
    beside = kpis_with(counter(shown.SWARM, 5.0), own_counters(failed=2.0, retried=3.0))

    assert one(alone, "cuda_fragmentation_events").value == 18
    assert (beside["metric"] == "cuda_fragmentation_events").sum() == 2


@pytest.mark.parametrize(("stat", "value"), [("mean", 0.2), ("max", 0.3)])
def test_the_share_in_pieces_has_mean_and_maximum_of_each_device(stat: str, value: float) -> None:
    own: Mapping[str, str] = {**SERVICE_TARGET, **DEVICE}
    shares = {at: (0.3 if at % 2 else 0.1) for at in SECONDS}

    kpis = kpis_with(scraped(shown.RATIO, own, shares), own_counters())

    assert one(kpis, "cuda_fragmentation_ratio", stat, **DEVICE).value == pytest.approx(value)
