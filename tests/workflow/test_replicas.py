"""Real campaigns with two copies of the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from escalade.files import read_json
from workplace import deployment, ladder

if TYPE_CHECKING:
    from workplace import Workplace

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(400)]


def requests_of(workplace: Workplace, cell: str = "*") -> pd.DataFrame:
    """Read the request log of a cell."""
    (path,) = workplace.results.glob(f"cells/{cell}/requests.parquet")
    return pd.read_parquet(path, columns=["step", "index", "replica", "planned_at", "error"])


def verdicts(workplace: Workplace) -> dict[str, Any]:
    """Read what was judged."""
    found: dict[str, Any] = read_json(workplace.results / "verdicts.json", "verdicts")
    return found


def test_two_copies_answer_in_turn_and_are_held_against_twice_one(workplace: Workplace) -> None:
    # a request takes 0.1 s in one of 2 slots: 20/s for one copy, 40/s for two
    slow = {"slots": 2, "service_seconds": 0.1}
    workplace.write(
        deployments=[
            deployment("one", **slow),
            {**deployment("two", **slow), "replicas": 2},
        ],
        workload={"kind": "plain_http", "parameters": {"path": "/work"}},
        load={**ladder((10, 3), (30, 4), (50, 4)), "drain_timeout_seconds": 15},
    )

    code, output = workplace.run()

    assert code == 0, output
    log = requests_of(workplace, "two*")
    assert log["replica"].tolist() == (1 + log["index"] % 2).tolist()
    assert requests_of(workplace, "one*")["replica"].isna().all()
    environment = read_json(
        next(workplace.results.glob("cells/two*/environment.json")), "environment"
    )
    assert [each["replica"] for each in environment["service"]["replicas"]] == [1, 2]
    logs = {path.name for path in workplace.results.glob("cells/two*/logs/service*")}
    assert logs == {"service-1.log", "service-2.log"}
    # each copy was scraped, and told by its label
    series = pd.read_parquet(next(workplace.results.glob("cells/two*/series.parquet")))
    scraped = series[series["metric"] == "truth_requests_total"]["labels"]
    assert {'"replica":"1"' in text or '"replica":"2"' in text for text in scraped} == {True}
    kpis = pd.read_csv(workplace.results / "kpis.csv")
    mine = kpis[(kpis["deployment"] == "two") & (kpis["step"] == 1)]
    served = mine[mine["metric"] == "server_requests_per_second"]["value"].iloc[0]
    assert served == pytest.approx(10, rel=0.25)
    # what was carried under overload is that of one copy, and of two: 20 and 40 requests/s
    carried = kpis[(kpis["metric"] == "throughput_qps") & (kpis["step"] == 3)]
    assert carried.set_index("deployment")["value"].to_dict() == pytest.approx(
        {"one": 20.0, "two": 40.0}, rel=0.15
    )
    judged = verdicts(workplace)
    scaling = [each for each in judged["bounds"] if each["kind"] == "ideal scaling"]
    known = {row["deployment"] for row in judged["capacity"] if row["capacity_qps"]}
    assert [row["deployment"] for row in scaling] == (["two"] if known == {"one", "two"} else [])
    if scaling:  # a busy machine makes the steps INVALID, and then no capacity is known
        assert scaling[0]["ratio"] == pytest.approx(1.0, abs=0.2)
        page = (workplace.results / "report.html").read_text(encoding="utf-8")
        assert "ideal scaling" in page
    workplace.await_silence(30)
    code, output = workplace.here("replay", str(workplace.results))
    assert code == 0, output


@pytest.mark.parametrize("failover", [False, True])
def test_one_copy_is_killed_and_the_other_holds_what_it_can(
    workplace: Workplace, *, failover: bool
) -> None:
    workplace.write(
        deployments=[{**deployment("pair"), "replicas": 2, "failover": failover}],
        load=ladder((20, 12)),
        failure={"step": 1, "at_seconds": 3, "restart_after_seconds": 1.5, "replica": 2},
    )

    code, output = workplace.run()

    assert code == 0, output
    (row,) = verdicts(workplace)["recovery"]
    (step,) = workplace.steps()
    log = requests_of(workplace)
    lost = log[log["error"].notna()]
    assert (row["replica"], row["replicas"]) == (2, 2)
    assert row["back_seconds"] > 1.5
    assert row["first_answer_seconds"] < 0.5  # of the other one
    assert row["lost"] == len(lost)
    away = log["planned_at"].between(
        step["failure"]["killed_at"], step["failure"]["killed_at"] + row["back_seconds"]
    )
    if failover:
        # only what was in flight is lost: the other copy answers the rest
        assert row["held_ratio"] > 0.97
        assert (log[away]["replica"] == 1).mean() > 0.9
        assert len(lost) <= 3
    else:
        assert set(lost["replica"]) == {2}
        assert row["held_ratio"] == pytest.approx(0.5, abs=0.08)
        assert row["recover_seconds"] == pytest.approx(row["back_seconds"], abs=0.2)
    page = (workplace.results / "report.html").read_text(encoding="utf-8")
    assert "2 of 2" in page
    workplace.await_silence(30)


def test_a_copy_that_dies_by_itself_fails_the_cell_by_its_name(workplace: Workplace) -> None:
    workplace.write(
        deployments=[{**deployment("mortal", die_after_requests=20), "replicas": 2}],
        load=ladder((20, 4)),
    )

    code, output = workplace.run()

    assert code == 3, output
    cell = workplace.cell()
    assert cell["outcome"] == "failed"
    assert "replica " in cell["cause"]
    assert cell["log_tail"] is not None
    assert workplace.processes() == []


def test_a_copy_that_never_becomes_ready_ends_the_other(workplace: Workplace) -> None:
    never = {**deployment("broken", never_ready=True), "ready_timeout_seconds": 1.5}
    workplace.write(deployments=[{**never, "replicas": 2}], load=ladder((10, 1)))

    code, output = workplace.run()

    assert code == 3, output
    assert "of the service" in workplace.cell()["cause"]
    assert workplace.processes() == []
