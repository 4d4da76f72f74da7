"""Component benchmarks as part of a campaign."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from campaigns import configuration, repeated, write_campaign
from escalade.campaign import events
from escalade.campaign.configuration import parse_campaign
from escalade.campaign.layout import CampaignFolder
from escalade.campaign.parts import measure_parts, write_parts, wrong_parts
from escalade.campaign.plugin import component_resources
from escalade.campaign.smoke import reduced
from escalade.errors import InputError
from escalade.files import read_json
from escalade.manifest import verify, write_manifest
from escalade.replay import rebuild, replay_campaign
from unit.campaign.builders import campaign

if TYPE_CHECKING:
    from pathlib import Path

COUNTS = {
    "name": "counts",
    "command": ["seq", "50"],
    "iterations": 40,
    "warmup_iterations": 10,
    "least_seconds": 0,
}


def run_of(folder: Path, content: dict[str, Any]) -> Any:
    return SimpleNamespace(
        folder=CampaignFolder(folder),
        plan=SimpleNamespace(campaign=parse_campaign(content, "small.yaml")),
        events=folder / "events.jsonl",
    )


def statuses(folder: Path) -> list[str]:
    content = read_json(folder / "components/components.json", "components")
    return [entry["status"] for entry in content["components"]]


def test_they_are_measured_sealed_reported_and_replayed(tmp_path: Path) -> None:
    content = configuration(components=[COUNTS])
    folder = write_campaign(tmp_path / "small", repeated([8.0]), content)
    measure_parts(run_of(folder, content))
    rebuild(CampaignFolder(folder))
    write_manifest(folder)

    assert "Component benchmarks" in (folder / "report.html").read_text()
    assert verify(folder) == []
    rebuilt = replay_campaign(CampaignFolder(folder), tmp_path / "out")
    assert {each.verdict for each in rebuilt} == {"identical"}
    assert (tmp_path / "out/components/components.csv").read_bytes() == (
        folder / "components/components.csv"
    ).read_bytes()


def test_a_campaign_without_them_says_nothing_of_them(tmp_path: Path) -> None:
    folder = CampaignFolder(write_campaign(tmp_path / "small", repeated([8.0])))
    rebuild(folder)

    assert "Component benchmarks" not in folder.report.read_text()
    assert not folder.components.exists()
    assert "components" not in folder.resolved.read_text()
    assert wrong_parts(folder, parse_campaign(configuration(), "small.yaml")) == []


def test_what_was_measured_elsewhere_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(tmp_path, configuration(components=[COUNTS]))
    measure_parts(run)
    first = (tmp_path / "components/counts/outcome.json").read_bytes()
    monkeypatch.setattr("escalade.suites.measure.host_facts", lambda: {"hostname": "other"})
    measure_parts(run)

    assert (tmp_path / "components/counts/outcome.json").read_bytes() == first


def test_progress_names_each(tmp_path: Path) -> None:
    run = run_of(tmp_path, configuration(components=[{**COUNTS, "repetitions": 2}]))
    measure_parts(run)

    assert [event.message for event in events.read(run.events)[0]] == [
        "component counts, repetition 1",
        "component counts, repetition 2",
    ]


def test_on_a_cluster_nothing_is_measured_outside_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = configuration(components=[COUNTS], execution={"launcher": "slurm"})
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    measure_parts(run_of(tmp_path, content))
    assert statuses(tmp_path) == ["not available"]

    monkeypatch.setenv("SLURM_JOB_ID", "7")
    measure_parts(run_of(tmp_path, content))
    assert statuses(tmp_path) == ["measured"]


def test_one_that_fails_is_named_and_the_others_are_measured(tmp_path: Path) -> None:
    content = configuration(components=[COUNTS, {"name": "broken", "command": ["false"]}])
    run = run_of(tmp_path, content)
    measure_parts(run)

    assert statuses(tmp_path) == ["measured", "failed"]
    (reason,) = wrong_parts(run.folder, run.plan.campaign)
    assert reason.startswith("Component broken ended with exit code 1")


def test_lost_tables_are_named(tmp_path: Path) -> None:
    run = run_of(tmp_path, configuration(components=[COUNTS]))

    assert "does not exist" in wrong_parts(run.folder, run.plan.campaign)[0]
    with pytest.raises(InputError, match=r"outcome\.json does not exist"):
        write_parts(run.folder, run.plan.campaign)


def test_the_job_gets_what_the_service_of_a_cell_gets() -> None:
    service = {"partition": "gpu", "cpus": 8, "memory_mb": 9000, "gpus": 2, "gpu_type": "a100"}
    asked = campaign(client={"partition": "cpu"}, service=service)
    with_parts = asked.model_copy(
        update={"components": parse_campaign(configuration(components=[COUNTS]), "x").components}
    )

    assert component_resources(with_parts) == {
        "slurm_partition": "gpu",
        "runtime": 12,  # a budget of 600 s and a timeout of 60 s, and a minute
        "mem_mb": 9000,
        "cpus_per_task": 8,
        "gres": "gpu:a100:2",
    }
    assert component_resources(asked) == {}


def test_a_smoke_run_does_without() -> None:
    content = configuration(components=["process_spawn"])

    assert reduced(parse_campaign(content, "x")).components == ()


@pytest.mark.parametrize(
    ("components", "said"),
    [
        (["nothing"], "is no shipped component"),
        ([COUNTS, COUNTS], "twice there: counts"),
        ([{**COUNTS, "iterations": 0}], r"components\[0\].iterations: 0 is not accepted"),
    ],
)
def test_what_is_wrong_is_named(components: list[Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_campaign(configuration(components=components), "my.yaml")
