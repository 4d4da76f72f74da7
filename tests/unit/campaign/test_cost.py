"""What a campaign costs on a cluster, and the limits that it must keep."""

from __future__ import annotations

import pytest

from escalade.campaign.cluster import ALLOCATION_OVERHEAD_SECONDS
from escalade.campaign.cost import UNNAMED, cost_of
from escalade.errors import InputError
from unit.campaign.builders import EXPECTED, campaign, cells, site


def test_node_hours_are_nodes_times_hours_in_each_partition() -> None:
    asked = campaign(
        client={"partition": "cpu"},
        service={"partition": "gpu", "nodes": 3},
        time_limit_seconds=3600,
        cells_per_allocation=2,
    )

    cost = cost_of(cells(4), asked, site())

    held = 2 * (ALLOCATION_OVERHEAD_SECONDS + 2 * EXPECTED) / 3600
    assert cost.node_hours["cpu"].expected == pytest.approx(held)
    assert cost.node_hours["gpu"].expected == pytest.approx(3 * held)
    assert cost.node_hours["gpu"].at_most == pytest.approx(3 * 2 * 1.0)


def test_components_of_one_partition_add_up() -> None:
    cost = cost_of(cells(1), campaign(time_limit_seconds=3600), site())

    assert cost.node_hours[UNNAMED].at_most == pytest.approx(2.0)


def test_each_component_is_a_job() -> None:
    assert cost_of(cells(4), campaign(cells_per_allocation=2), site()).jobs == 4
    assert cost_of(cells(4), campaign(cells_per_allocation=2, topology="shared"), site()).jobs == 2


def test_lanes_take_turns_and_have_allocations_of_their_own() -> None:
    planned = cells(5)

    cost = cost_of(planned, campaign(2), site())

    assert [(it.lane, it.cells) for it in cost.allocations] == [
        (1, planned[0::2]),
        (2, planned[1::2]),
    ]
    assert cost.longest_seconds == cost.allocations[0].time_limit_seconds


def test_every_cell_is_in_exactly_one_allocation() -> None:
    planned = cells(17)

    cost = cost_of(planned, campaign(3, cells_per_allocation=2), site())

    held = [cell.name for it in cost.allocations for cell in it.cells]
    assert sorted(held) == sorted(cell.name for cell in planned)
    assert max(len(it.cells) for it in cost.allocations) == 2


def test_nothing_to_measure_costs_nothing() -> None:
    cost = cost_of((), campaign(), site())

    assert cost.jobs == 0
    assert cost.longest_seconds == 0
    assert cost.node_hours[UNNAMED].at_most == 0


def test_more_jobs_at_a_time_than_a_user_may_have_are_refused() -> None:
    asked = campaign(3, client={"qos": "q"}, service={"qos": "q"})

    with pytest.raises(InputError) as refused:
        cost_of(cells(9), asked, site(qos={"q": {"max_jobs": 4}}))

    for part in (
        "QOS q of site here allows 4 jobs",
        "parallel_cells is 3",
        "that is 6",
        "site.yaml",
    ):
        assert part in str(refused.value)


def test_a_split_allocation_is_refused_where_heterogeneous_jobs_do_not_run() -> None:
    with pytest.raises(InputError, match=r"topology is split.*shared or auto"):
        cost_of(cells(1), campaign(), site(heterogeneous_jobs=False))


def test_a_plan_that_breaks_a_limit_of_its_nodes_is_refused() -> None:
    asked = campaign(service={"partition": "gpu", "gpus": 5})

    with pytest.raises(InputError, match="at most 4 GPUs a node"):
        cost_of(cells(1), asked, site(partitions={"gpu": {"gpus": 4}}))


def test_what_is_missing_is_said_and_does_not_stop_the_plan() -> None:
    cost = cost_of(cells(1), campaign(), site(required=["account", "qos"]))

    assert len(cost.missing) == 2
    assert "client and service" in cost.missing[0]
