"""Which settings a service ran with, by its processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from escalade.services.variables import recorded_variables

if TYPE_CHECKING:
    from collections.abc import Iterator

CONF = "PYTORCH_CUDA_ALLOC_CONF"


@contextmanager
def service(**environment: str) -> Iterator[int]:
    """Start a shell that has a service as its child, with settings of the child's own if any."""
    inner = f"{CONF}=inner:1 " if environment.pop("inner", "") else ""
    code = "print(flush=True); import time; time.sleep(60)"
    usual = {name: value for name, value in os.environ.items() if "ALLOC_CONF" not in name}
    with subprocess.Popen(
        ["sh", "-c", f'{inner}"$0" -c "$1"; true', sys.executable, code],
        env={**usual, **environment},
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            os.killpg(process.pid, 9)


def test_settings_are_recorded_wherever_they_come_from_and_nothing_else() -> None:
    with service(**{CONF: "max_split_size_mb:128", "SECRET": "s"}) as pid:
        assert recorded_variables(pid) == {CONF: "max_split_size_mb:128"}


def test_those_of_the_inner_process_count() -> None:
    with service(**{CONF: "outer:1", "inner": "yes"}) as pid:
        assert recorded_variables(pid) == {CONF: "inner:1"}


@pytest.mark.parametrize("environment", [{}, {CONF: ""}])
def test_a_service_without_settings_has_none(environment: dict[str, str]) -> None:
    with service(**environment) as pid:
        assert recorded_variables(pid) == {}


def test_of_a_service_that_is_gone_nothing_is_known() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    time.sleep(0.01)

    assert recorded_variables(process.pid) == {}
