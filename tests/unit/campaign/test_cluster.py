"""What a cell asks a cluster for."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.campaign.cluster import (
    ALLOCATION_OVERHEAD_SECONDS,
    MOST_SECONDS_BY_DEFAULT,
    cells_together,
    components_of,
    job_name,
    of_the_same_lane,
    request_for,
    seconds_of,
    topology_of,
)
from escalade.errors import InputError
from escalade.runtime.slurm.request import ComponentRequest
from unit.campaign.builders import AT_MOST, campaign, cells, site

LOG = Path("job.log")


def minutes(seconds: float) -> float:
    return math.ceil(seconds / 60) * 60


def test_split_asks_for_client_and_service_in_this_order() -> None:
    asked = campaign(client={"partition": "cpu"}, service={"partition": "gpu", "gpus": 4})

    request = request_for(cells(1)[0], asked, site(), ("hold",), LOG)

    assert request.components == (
        ComponentRequest("client", partition="cpu"),
        ComponentRequest("service", partition="gpu", gpus=4),
    )
    assert request.command == ("hold",)
    assert request.log == LOG
    assert request.heterogeneous


def test_shared_asks_for_one_component_with_the_cpus_of_both() -> None:
    asked = campaign(topology="shared", client={"cpus": 4}, service={"cpus": 12, "gpus": 1})

    assert components_of(asked, site()) == (ComponentRequest("all", cpus=16, gpus=1),)


def test_the_setup_of_the_site_comes_along() -> None:
    asked = campaign(setup=["module load A", "module load B"])

    request = request_for(cells(1)[0], asked, site(), ("hold",), LOG)

    assert request.setup == ("module load A", "module load B")


def test_auto_is_split_where_nothing_speaks_against_it() -> None:
    chosen = topology_of(campaign(topology="auto"), site())

    assert chosen.kind == "split"
    assert "here" in chosen.reason


def test_auto_is_shared_where_the_qos_allows_one_job() -> None:
    asked = campaign(topology="auto", client={"qos": "test"}, service={"qos": "test"})

    chosen = topology_of(asked, site(qos={"test": {"max_jobs": 1}}))

    assert chosen.kind == "shared"
    assert "QOS test of site here allows 1 job at a time" in chosen.reason
    assert "would be 2" in chosen.reason


def test_auto_counts_the_lanes() -> None:
    asked = campaign(2, topology="auto", client={"qos": "q"}, service={"qos": "q"})

    assert topology_of(asked, site(qos={"q": {"max_jobs": 4}})).kind == "split"
    assert topology_of(asked, site(qos={"q": {"max_jobs": 3}})).kind == "shared"


def test_components_of_different_qos_do_not_add_up() -> None:
    asked = campaign(topology="auto", client={"qos": "a"}, service={"qos": "b"})
    limits = {"a": {"max_jobs": 1}, "b": {"max_jobs": 1}}

    assert topology_of(asked, site(qos=limits)).kind == "split"


def test_auto_is_two_plain_jobs_where_heterogeneous_ones_do_not_run() -> None:
    plain = site(heterogeneous_jobs=False)
    chosen = topology_of(campaign(topology="auto"), plain)

    assert chosen.kind == "pair"
    assert "heterogeneous" in chosen.reason
    request = request_for(cells(1)[0], campaign(topology="auto"), plain, ("hold",), LOG)
    assert [job.components[0].name for job in request.jobs()] == ["client", "service"]


def test_auto_is_shared_where_only_one_job_is_allowed_whatever_kinds_run() -> None:
    asked = campaign(topology="auto", client={"qos": "t"}, service={"qos": "t"})
    single = {"t": {"max_jobs": 1}}

    assert topology_of(asked, site(qos=single, heterogeneous_jobs=False)).kind == "shared"


def test_what_is_asked_for_is_not_overruled() -> None:
    asked = campaign(topology="split", client={"qos": "t"}, service={"qos": "t"})

    assert topology_of(asked, site(qos={"t": {"max_jobs": 1}})).kind == "split"


def test_the_time_limit_is_the_longest_time_of_the_cells_with_the_margin() -> None:
    asked = campaign(time_margin_ratio=0.5)
    first, *others = cells(3)

    request = request_for(first, asked, site(), ("hold",), LOG, following=others)

    assert seconds_of(first, asked) == 1.5 * AT_MOST
    assert request.time_limit_seconds == minutes(ALLOCATION_OVERHEAD_SECONDS + 3 * 1.5 * AT_MOST)


def test_twelve_cells_that_fit_share_one_allocation() -> None:
    together, _ = cells_together(cells(12), campaign(), site())

    assert len(together) == 12


def test_only_as_many_cells_share_an_allocation_as_the_partition_s_time_allows() -> None:
    asked = campaign(time_margin_ratio=0, service={"partition": "gpu"})
    hours = (ALLOCATION_OVERHEAD_SECONDS + 2.5 * AT_MOST) / 3600

    together, limit = cells_together(
        cells(5), asked, site(partitions={"gpu": {"max_hours": hours}})
    )

    assert len(together) == 2
    assert limit <= hours * 3600
    assert limit >= ALLOCATION_OVERHEAD_SECONDS + 2 * AT_MOST


def test_cells_per_allocation_is_not_exceeded() -> None:
    together, limit = cells_together(cells(5), campaign(cells_per_allocation=2), site())

    assert len(together) == 2
    assert limit == minutes(ALLOCATION_OVERHEAD_SECONDS + 2 * 1.25 * AT_MOST)


def test_a_time_limit_that_is_stated_is_what_is_asked_for() -> None:
    asked = campaign(time_limit_seconds=600, time_margin_ratio=0)

    together, limit = cells_together(cells(9), asked, site())

    assert limit == 600
    assert len(together) == (600 - ALLOCATION_OVERHEAD_SECONDS) // AT_MOST


def test_without_a_known_limit_an_allocation_of_many_cells_lasts_a_day_at_most() -> None:
    _, limit = cells_together(cells(2000), campaign(), site())

    assert limit <= MOST_SECONDS_BY_DEFAULT


def test_a_stated_time_limit_under_what_a_cell_needs_is_refused() -> None:
    with pytest.raises(InputError, match=r"time_limit_seconds is 120.*no cell would be started"):
        cells_together(cells(1), campaign(time_limit_seconds=120), site())


def test_a_stated_time_limit_over_the_site_s_is_refused() -> None:
    asked = campaign(time_limit_seconds=7200, client={"qos": "short"})

    with pytest.raises(InputError, match=r"7200.*QOS short of site here allows 1 h.*client\.qos"):
        cells_together(cells(1), asked, site(qos={"short": {"max_hours": 1}}))


def test_a_cell_that_is_longer_than_a_job_may_be_is_refused() -> None:
    asked = campaign(service={"partition": "gpu"})

    with pytest.raises(
        InputError, match=r"a_rep-1_.*Partition gpu .* allows 0\.05 h.*load\.ladder"
    ):
        cells_together(cells(1), asked, site(partitions={"gpu": {"max_hours": 0.05}}))


@pytest.mark.parametrize(
    ("component", "limits", "expected"),
    [
        ({"nodes": 3}, {"max_nodes": 2}, "at most 2 nodes a job"),
        ({"gpus": 8}, {"gpus": 4}, "at most 4 GPUs a node"),
        ({"gpus": 4, "nodes": 3}, {"max_gpus": 8}, "asks for 12"),
        ({"cpus": 300}, {"cores": 256}, "key cpus"),
        ({"memory_mb": 2000}, {"memory_mb": 1000}, "key memory_mb"),
    ],
)
def test_a_limit_that_is_broken_is_named_with_value_and_key(
    component: dict[str, int], limits: dict[str, int], expected: str
) -> None:
    asked = campaign(service={"partition": "gpu", **component})

    with pytest.raises(InputError) as refused:
        request_for(cells(1)[0], asked, site(partitions={"gpu": limits}), ("hold",), LOG)

    for part in ("Partition gpu of site here", "execution.slurm.service", "site.yaml", expected):
        assert part in str(refused.value)


def test_limits_that_are_just_met_are_no_refusal() -> None:
    asked = campaign(service={"qos": "q", "nodes": 2, "gpus": 4, "cpus": 8, "memory_mb": 10})
    limits = {"max_nodes": 2, "gpus": 4, "max_gpus": 8, "cores": 8, "memory_mb": 10}

    request = request_for(cells(1)[0], asked, site(qos={"q": limits}), ("hold",), LOG)

    assert request.components[1].nodes == 2


def test_what_the_site_requires_has_to_be_there() -> None:
    asked = campaign(client={"account": "p1"})

    with pytest.raises(InputError, match=r"without account, and none is given for service"):
        request_for(cells(1)[0], asked, site(required=["account"]), ("hold",), LOG)


def test_the_cells_of_a_lane_are_every_other_one() -> None:
    planned = cells(5)

    assert of_the_same_lane(planned[1], planned, 2) == (planned[3],)
    assert of_the_same_lane(planned[0], planned, 1) == planned[1:]


def test_a_job_s_name_keeps_the_cell_s_hash_however_long_it_is() -> None:
    cell = cells(1)[0]

    assert job_name("small", cell) == f"small.{cell.name}"
    assert len(job_name("x" * 64, cell)) == 64
    assert job_name("x" * 64, cell).endswith(cell.name[-8:])


@given(
    count=st.integers(1, 40),
    margin=st.floats(0, 3),
    per=st.one_of(st.just("auto"), st.integers(1, 50)),
    hours=st.floats(0.25, 10),
)
def test_cells_that_share_an_allocation_fit_its_time_and_the_site_s(
    count: int, margin: float, per: str | int, hours: float
) -> None:
    asked = campaign(
        time_margin_ratio=margin, cells_per_allocation=per, all={"qos": "q"}, topology="shared"
    )

    together, limit = cells_together(cells(count), asked, site(qos={"q": {"max_hours": hours}}))

    assert 1 <= len(together) <= count
    assert ALLOCATION_OVERHEAD_SECONDS + sum(seconds_of(c, asked) for c in together) <= limit
    assert limit <= hours * 3600
