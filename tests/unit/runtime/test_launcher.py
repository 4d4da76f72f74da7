"""The records of launchers: what they refuse, and that they survive JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from escalade.errors import InputError
from escalade.runtime.allocation import AllocationState, Place
from escalade.runtime.launcher import launcher_for
from escalade.runtime.local import LocalLauncher
from escalade.runtime.steps import StepSpec, StepState

ALLOCATION = AllocationState(
    schema=3, launcher="local", id="a.1", folder="/f", pid=7, start_time=70, cell="a",
    clients=(Place("here", "127.0.0.1", (0,)), Place("beside", "10.0.0.3", (0,))),
    services=(Place("there", "10.0.0.2", (1, 2), ("0", "1"), 1),),
    lease="/f/lease", lease_seconds=15.0, ledger="/f/ledger", job="12",
)  # fmt: skip
SPEC = StepSpec(
    name="service", argv=("run", "it"), role="service", log=Path("/f/log"),
    environment={"A": "1"}, cwd=Path("/"), cpus=(1, 2), stop_seconds=1.5,
    on=ALLOCATION.service, gpus=True,
)  # fmt: skip


def test_an_allocation_survives_json() -> None:
    assert AllocationState.from_json(json.loads(json.dumps(ALLOCATION.to_json()))) == ALLOCATION


def test_a_spec_survives_json() -> None:
    assert StepSpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC


def test_an_allocation_of_another_version_is_refused() -> None:
    with pytest.raises(InputError, match="schema 4, expected 3"):
        AllocationState.from_json({**ALLOCATION.to_json(), "schema": 4})


def test_an_allocation_that_lacks_keys_is_refused_by_their_names() -> None:
    with pytest.raises(InputError, match="lacks launcher, id, folder"):
        AllocationState.from_json({"schema": 1})


@pytest.mark.parametrize("name", ["", "a/b", "../up", ".hidden", "a b"])
def test_a_step_name_that_cant_name_a_file_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="Step name"):
        StepSpec(name, ("true",), "service", Path("log"))


def test_a_step_without_command_or_with_an_unknown_role_is_refused() -> None:
    with pytest.raises(InputError, match="no command"):
        StepSpec("a", (), "service", Path("log"))
    with pytest.raises(InputError, match="expected one of service, prometheus, exporter, load"):
        StepSpec("a", ("true",), "server", Path("log"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "words", "running"),
    [
        ({}, "runs", True),
        ({"ended_at": 2.0, "exit_code": 0}, "exited with code 0", False),
        ({"ended_at": 2.0, "exit_code": 3}, "exited with code 3", False),
        ({"ended_at": 2.0, "signal": 9}, "was killed by SIGKILL", False),
        ({"ended_at": 2.0, "signal": 35}, "was killed by signal 35", False),
        ({"pid": None, "started_at": None}, "has not started", False),
        ({"pid": None, "error": "could not be executed: x"}, "could not be executed: x", False),
    ],
)
def test_a_state_says_what_became_of_the_step(
    changes: dict[str, object], words: str, *, running: bool
) -> None:
    content = {
        "name": "s", "role": "service", "pid": 5, "started_at": 1.0, "ended_at": None,
        "exit_code": None, "signal": None, "log": "/log",
    }  # fmt: skip
    state = StepState.from_json({**content, **changes})

    assert state.describe() == words
    assert state.running is running


def test_launchers_are_found_by_name_and_by_allocation() -> None:
    assert isinstance(launcher_for("local"), LocalLauncher)
    assert isinstance(launcher_for(ALLOCATION), LocalLauncher)
    with pytest.raises(InputError, match="'slrm' is unknown; expected one of local"):
        launcher_for("slrm")
