"""What is collected before a service starts: figures of its CPUs and its model, or why there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from escalade.campaign import bound_inputs
from escalade.campaign.bound_inputs import collect_bound_inputs
from escalade.campaign.run import CellRun, open_run
from escalade.campaign.state import ALLOCATION
from escalade.errors import InfrastructureError
from escalade.files import read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from integration.services.conftest import Place

LLAMA = {"name": "a", "recipe": "llama_cpp", "models": ["smollm2-135m"]}


def collected(place: Place, folder: Path, **changes: Any) -> dict[str, Any]:
    content = {
        "campaign": "bounded",
        "deployments": [LLAMA],
        "load": {"ladder": [{"target_qps": 2, "window_seconds": 5}]},
        "execution": {"results": str(folder / "results")},
    }
    run = open_run({**content, **changes}, [])
    cell = run.plan.cells[0]
    here = CellRun(run, cell, run.folder.cell(cell.name))
    here.folder.logs.mkdir(parents=True)
    write_json(here.state / ALLOCATION, place.allocation.to_json())
    collect_bound_inputs(here)
    found: dict[str, Any] = read_json(here.folder.bounds, "inputs")
    return found


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("escalade.campaign.run.STATE_ROOT", tmp_path / "state")


def test_of_a_model_on_cpus_everything_is_there(place: Place, tmp_path: Path) -> None:
    found = collected(place, tmp_path)

    assert found["recipe"] == {"tokens": {"device": "cpu", "sequences": 4}}
    assert found["cpu"]["cpus"] == list(place.allocation.service.cpus)
    assert found["cpu"]["read"]["best"] > 0
    assert found["cpu_note"] is None
    assert found["model"]["name"] == "smollm2-135m"
    # SmolLM2-135M: 134.5 million weights, all of them used, since its embedding is its output matrix
    assert found["model"]["active_parameters"] == 134_515_008
    assert found["model"]["read_bytes_per_token"] == found["model"]["tensor_bytes"]
    # 30 layers × 3 heads × (64 + 64) × 2 bytes
    assert found["model"]["cache_bytes_per_token"] == 23_040


def test_nothing_is_measured_where_it_is_switched_off(place: Place, tmp_path: Path) -> None:
    found = collected(place, tmp_path, bounds={"measure": False})

    assert (found["cpu"], found["cpu_note"]) == (None, "bounds.measure is false")
    assert found["model"] is not None


def test_nothing_is_measured_for_a_service_that_it_would_not_bound(
    place: Place, tmp_path: Path
) -> None:
    found = collected(place, tmp_path, deployments=[{"name": "a", "recipe": "truth_server"}])

    assert found["cpu"] is None
    assert found["cpu_note"] == found["model_note"] == "no bound of this recipe needs it"
    assert found["recipe"]["configured"]["slots"] == 4


def test_a_probe_that_fails_costs_the_bound_and_not_the_cell(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: CellRun) -> dict[str, Any]:
        raise InfrastructureError("the probe exited with code 3: too little memory")

    monkeypatch.setattr(bound_inputs, "_probe", broken)
    found = collected(place, tmp_path)

    assert found["cpu"] is None
    assert found["cpu_note"] == (
        "it could not be measured: the probe exited with code 3: too little memory"
    )


def test_a_probe_that_takes_too_long_is_ended(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bound_inputs, "PROBE_SECONDS", 0.0)
    found = collected(place, tmp_path)

    assert found["cpu_note"] == "it could not be measured: the probe took over 0 s"
    assert not place.launcher.state(place.allocation, bound_inputs.STEP_NAME).running
