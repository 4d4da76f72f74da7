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

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(400)]


def test_a_stressor_runs_beside_its_deployment_alone_and_its_cost_is_said(
    workplace: Workplace,
) -> None:
    beside = {**deployment("beside"), "stress": {"kind": "cpu", "workers": 2}}
    workplace.write(
        deployments=[deployment("alone"), beside],
        load=ladder((10, 6)),
    )

    code, output = workplace.run()

    assert code == 0, output
    (row,) = read_json(workplace.results / "verdicts.json", "verdicts")["contention"]
    kpis = pd.read_csv(workplace.results / "kpis.csv")
    took = kpis[kpis["metric"] == "stressor_cpu_cores"]
    assert took["deployment"].tolist() == ["beside"]
    assert took["value"].iloc[0] > 0.1
    assert row["status"] in ("slower", "no change shown", "faster", "undecided")
    assert (row["deployment"], row["against"]) == ("beside", "alone")
    if row["status"] != "undecided":
        assert row["ci_low"] <= row["difference_seconds"] <= row["ci_high"]
        assert row["n"] == 60
    page = (workplace.results / "report.html").read_text(encoding="utf-8")
    assert "Beside a stressor" in page
    logs = list(workplace.results.glob("cells/*/logs/stressor.log"))
    assert [path.parents[1].name.partition("_")[0] for path in logs] == ["beside"]
    told = json.loads(logs[0].read_text(encoding="utf-8").splitlines()[-1])
    assert told["rounds"] > 0
    workplace.await_silence(30)
    code, output = workplace.here("replay", str(workplace.results))
    assert code == 0, output
