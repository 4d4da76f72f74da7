"""Two pairs of runs with and without monitoring: the order, the chain without samples, and the answer."""

from __future__ import annotations

import pandas as pd
import pytest

from escalade.files import read_json
from workplace import Workplace, deployment, ladder

OFF, ON = {**deployment("off"), "monitoring": False}, deployment("on")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Measure once; the tests below look at it."""
    place = Workplace(tmp_path_factory.mktemp("paired"))
    load = {**ladder((20, 2)), "calibration_seconds": 0}
    place.write(deployments=[OFF, ON], repetitions=2, design="paired", load=load, slos=[])
    code, output = place.run(timeout=550)
    assert code == 0, output
    return place


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_second_pair_runs_the_other_way_round(measured: Workplace) -> None:
    begun = [event.cell for event in measured.events() if event.stage == "allocate"]

    order = [name.partition("_")[0] for name in dict.fromkeys(begun)]
    assert order == ["off", "on", "on", "off"]
    section = read_json(measured.results / "verdicts.json", "verdicts")["pairs"]
    assert [pair["order"] for pair in section["pairs"]] == ["AB", "BA"]
    assert not any(pair["remarks"] for pair in section["pairs"])


@pytest.mark.slow
def test_a_cell_without_monitoring_starts_and_keeps_none_of_it(measured: Workplace) -> None:
    for name in measured.cells():
        folder = measured.results / "cells" / name
        monitored = name.startswith("on")
        assert (folder / "tsdb.tar.zst").exists() == monitored
        assert (folder / "logs" / "prometheus.log").exists() == monitored
        assert (folder / "logs" / "node-exporter.log").exists() == monitored
        assert (folder / "logs" / "load-exporter.log").exists() == monitored
        assert (len(pd.read_parquet(folder / "series.parquet")) > 0) == monitored
        environment = read_json(folder / "environment.json", "environment")
        assert environment.get("monitoring", "on") == ("on" if monitored else "off")
        windows = read_json(folder / "windows.json", "windows")
        assert windows["scrape_interval_seconds"] == (1.0 if monitored else None)
        assert len(pd.read_parquet(folder / "requests.parquet")) == 50  # half a second of warm-up


@pytest.mark.slow
def test_it_is_said_what_monitoring_costs_or_that_two_pairs_can_t_tell(
    measured: Workplace,
) -> None:
    verdicts = read_json(measured.results / "verdicts.json", "verdicts")

    section = verdicts["pairs"]
    assert (section["baseline"], section["candidate"]) == ("off", "on")
    assert section["monitoring"] == {"on": "on", "off": "off"}
    (primary,) = [row for row in section["rows"] if row["primary"]]
    assert primary["verdict"] in (
        "inconclusive",
        "not comparable",
    )  # a gate may fail on a busy machine
    needing_scrapes = {"scrape_coverage", "scrape_gap", "client_server_agreement", "neighbours"}
    off = [gate for gate in verdicts["gates"] if gate["cell"].startswith("off")]
    assert {gate["gate"] for gate in off if gate["outcome"] == "not applicable"} == needing_scrapes
    page = (measured.results / "report.html").read_text()
    assert "What monitoring costs in p90 end-to-end latency" in page


@pytest.mark.slow
def test_its_manifest_and_a_replay_agree(measured: Workplace) -> None:
    assert measured.escalade("verify", str(measured.results))[0] == 0

    code, output = measured.escalade("replay", str(measured.results))

    assert code == 0, output
    assert "differs" not in output
