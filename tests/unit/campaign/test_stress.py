"""A stressor in the configuration, and the program itself."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from escalade.campaign.configuration import parse_campaign
from escalade.campaign.results import stressed_of
from escalade.campaign.smoke import reduced
from unit.campaign.test_models import configuration, refusal

if TYPE_CHECKING:
    from pathlib import Path

ALONE = {"name": "alone", "recipe": "truth_server", "parameters": {"slots": 2}}


def beside(stress: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**ALONE, "name": "beside", "stress": stress, **changes}


def both(stress: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return configuration(deployments=[ALONE, beside(stress, **changes)])


def test_a_stressed_deployment_is_compared_with_the_same_without() -> None:
    campaign = parse_campaign(both({"kind": "cpu", "workers": 2, "share": 0.5}), "my.yaml")

    (pair,) = stressed_of(campaign)
    assert (pair.deployment, pair.against) == ("beside", "alone")
    assert pair.words == "2 workers on CPU, each 50% of one"
    dumped = campaign.model_dump(mode="json")["deployments"]
    assert "stress" not in dumped[0]
    assert dumped[1]["stress"] == {"kind": "cpu", "workers": 2, "share": 0.5}


def test_a_smoke_run_has_no_stressor_and_can_be_read_again() -> None:
    content = configuration(deployments=[beside({"kind": "cpu"}), ALONE])

    small = reduced(parse_campaign(content, "my.yaml"))

    assert [each.stress for each in small.deployments] == [None]
    assert parse_campaign(small.model_dump(mode="json"), "smoke.yaml") == small


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (both({"kind": "gpu"}), "expected 'cpu', 'memory' or 'disk'"),
        (both({"kind": "cpu", "megabytes": 9}), "megabytes goes with kind: memory or disk only"),
        (both({"kind": "memory", "share": 0.5}), "share goes with kind: cpu only"),
        (both({"kind": "cpu", "share": 2}), "stress.share: 2 is not accepted"),
        (
            both({"kind": "cpu"}, parameters={"slots": 3}),
            "no deployment is the same without it: add one with the same recipe",
        ),
        (
            both({"kind": "cpu"})
            | {
                "load": {"search": {"start_qps": 5}},
                "slos": [{"name": "s", "metric": "latency_seconds", "limit": 1}],
            },
            "the steps of a search differ: give a ladder",
        ),
    ],
)
def test_what_can_not_be_compared_is_refused(content: dict[str, Any], said: str) -> None:
    assert said in refusal(content)


@pytest.mark.parametrize(
    ("kind", "more", "unit"),
    [
        ("cpu", ["--share", "0.3"], "rounds"),
        ("memory", ["--megabytes", "4"], "bytes"),
        ("disk", ["--megabytes", "2"], "bytes"),
    ],
)
def test_the_stressor_works_until_it_is_told_to_end(
    kind: str, more: list[str], unit: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "escalade.services.stressor", kind, "--workers", "2", *more]
    child = subprocess.Popen([*command, "--folder", str(tmp_path)], stdout=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while len(workers := psutil.Process(child.pid).children()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    child.send_signal(signal.SIGTERM)
    output, _ = child.communicate(timeout=20)

    told = json.loads(output)
    assert child.returncode == 0
    assert (told["kind"], told["workers"]) == (kind, 2)
    assert told[unit] > 0
    assert not any(worker.is_running() for worker in workers)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == (["stress-0", "stress-1"] if kind == "disk" else [])
    assert all(path.stat().st_size <= 2 << 20 for path in tmp_path.iterdir())


def test_a_stressor_that_can_not_work_ends_by_itself(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "escalade.services.stressor", "disk"]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path / "none")], capture_output=True, timeout=30, check=False
    )

    assert done.returncode == 4
    assert b"No such file" in done.stderr
