"""What tests of several rooms need."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

import pytest


def require_or_skip(name: str, reason: str) -> NoReturn:
    """Skip the test, or fail it where `ESCALADE_REQUIRE` names what is missing.

    Parameters
    ----------
    name
        What is missing, as listed in `ESCALADE_REQUIRE` ("gcc,slurm").
    reason
        Why the test can't run.
    """
    required = {entry.strip() for entry in os.environ.get("ESCALADE_REQUIRE", "").split(",")}
    if name in required:
        pytest.fail(f"{reason}, and ESCALADE_REQUIRE names {name!r}")
    pytest.skip(reason)


def usual_signals() -> None:
    """Undo what a background shell or `su` did to signals: a `preexec_fn` for children."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
