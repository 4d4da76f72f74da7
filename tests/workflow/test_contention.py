"""A real campaign with a stressor beside one of its deployments."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from escalade.files import read_json
from workplace import deployment, ladder

if TYPE_CHECKING:
    from workplace import Workplace

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(900)]


KINDS = {
    "cpu": {"workers": 2},
    "memory": {"workers": 2, "megabytes": 64},
    "disk": {"megabytes": 16},
}


def test_stressors_of_every_kind_run_beside_their_deployment_alone_and_their_cost_is_said(
    workplace: Workplace,
) -> None:
    beside = [
        {**deployment(kind), "stress": {"kind": kind, **given}} for kind, given in KINDS.items()
    ]
    workplace.write(deployments=[deployment("alone"), *beside], load=ladder((20, 10)))

    code, output = workplace.run()

    assert code == 0, output
    verdicts = read_json(workplace.results / "verdicts.json", "verdicts")
    rows = {row["deployment"]: row for row in verdicts["contention"]}
    kpis = pd.read_csv(workplace.results / "kpis.csv")
    took = kpis[kpis["metric"] == "stressor_cpu_cores"].set_index("deployment")["value"]
    slowed = {
        row["deployment"]
        for row in verdicts["findings"]
        if row["rule"] == "slowed-by-the-stressor" and row["kind"] == "limit"
    }
    assert sorted(rows) == sorted(took.index) == sorted(KINDS)
    assert (took > 0).all()
    assert took["cpu"] > 0.1
    for kind, row in rows.items():
        assert row["status"] in ("slower", "no change shown", "faster", "undecided")
        assert row["against"] == "alone"
        if row["status"] != "undecided":
            low, high = row["ci_low"], row["ci_high"]
            assert low is None or low <= row["difference_seconds"]
            assert high is None or row["difference_seconds"] <= high
            assert row["n"] == 200
        (log,) = workplace.results.glob(f"cells/{kind}_*/logs/stressor.log")
        last = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
        assert last["rounds" if kind == "cpu" else "bytes"] > 0
    assert slowed <= {kind for kind, row in rows.items() if row["status"] == "slower"}
    assert not list(workplace.results.glob("cells/alone_*/logs/stressor.log"))
    page = (workplace.results / "report.html").read_text(encoding="utf-8")
    assert "Beside a stressor" in page
    workplace.await_silence(30)
    code, output = workplace.here("replay", str(workplace.results))
    assert code == 0, output
