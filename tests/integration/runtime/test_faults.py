"""What is left when parts of a run are killed: nothing, within the lease."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from itertools import combinations
from typing import TYPE_CHECKING

import psutil
import pytest

from escalade.errors import InfrastructureError
from escalade.runtime import driver
from integration.runtime.conftest import LEASE_SECONDS, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from integration.runtime.conftest import Driven, Rig

# Beside the step itself: one that left its session, and one that forgot its parents.
FAMILY = "setsid sleep 71 & (setsid sleep 72 &); sleep 73"
MARGIN_SECONDS = 1.5  # for a machine that is busy

EVERY_ONE = ("driver", "keeper", "guard", "holder")
NAMED = [
    ("driver",),
    ("keeper",),
    ("guard",),
    ("driver", "keeper"),
    ("driver", "guard"),
    ("keeper", "guard"),
    ("driver", "keeper", "guard"),
]
OTHERS = [
    names
    for count in range(1, 4)
    for names in combinations(EVERY_ONE, count)
    if names not in NAMED and not {"guard", "holder", "keeper"} <= set(names)
]


def kill_nine(driven: Driven, names: tuple[str, ...]) -> None:
    for pid in driven.pids(names):
        os.kill(pid, signal.SIGKILL)


def sleepers(driven: Driven) -> set[int]:
    """Give the pids of the step's three programs, once they are there."""
    found = set()
    for pid in driven.left():
        with contextlib.suppress(psutil.Error):
            found |= {pid} if psutil.Process(pid).name() == "sleep" else set()
    return found


def assert_steps_end(driven: Driven, names: tuple[str, ...]) -> None:
    """Only a driver and a keeper that were not killed may go on."""
    keeper = driven.keeper
    kill_nine(driven, names)
    spared = [driven.process.pid, keeper] if "driver" not in names else []

    assert wait_until(lambda: not driven.left(*spared), LEASE_SECONDS + MARGIN_SECONDS)


@pytest.mark.parametrize("names", NAMED, ids="+".join)
def test_nothing_outlives_the_lease_whatever_is_killed(rig: Rig, names: tuple[str, ...]) -> None:
    assert_steps_end(rig.drive(FAMILY), names)


@pytest.mark.slow
@pytest.mark.parametrize("names", OTHERS, ids="+".join)
def test_nor_when_the_two_halves_of_a_holder_are_told_apart(
    rig: Rig, names: tuple[str, ...]
) -> None:
    assert_steps_end(rig.drive(FAMILY), names)


def test_steps_that_ignore_sigterm_end_within_the_lease_as_well(rig: Rig) -> None:
    stubborn = "trap '' TERM; (trap '' TERM; setsid sleep 71) & while true; do sleep 0.1; done"
    driven = rig.drive(stubborn, lease=5)
    kill_nine(driven, ("driver",))

    assert wait_until(lambda: not driven.left(), 5)


def test_what_no_process_could_end_is_ended_by_the_next_run(rig: Rig) -> None:
    """All four killed at once: the kernel ends the step, the next driver its orphans."""
    driven = rig.drive(FAMILY)
    kill_nine(driven, EVERY_ONE)
    assert wait_until(lambda: len(driven.left()) <= 2, 2)

    with driver.driving(rig.root, "demo", "next", LEASE_SECONDS):
        assert driven.left() == set()

    assert (driven.run / "over.json").exists()


def test_a_stopped_driver_keeps_its_services(rig: Rig) -> None:
    driven = rig.drive(FAMILY)
    assert wait_until(lambda: len(sleepers(driven)) == 3, 5)
    services = sleepers(driven)
    os.kill(driven.process.pid, signal.SIGSTOP)

    time.sleep(1.5 * LEASE_SECONDS)

    assert sleepers(driven) == services
    os.kill(driven.process.pid, signal.SIGCONT)


def test_a_driver_that_is_asked_to_end_leaves_nothing_within_three_seconds(rig: Rig) -> None:
    driven = rig.drive(FAMILY)
    driven.process.send_signal(signal.SIGTERM)

    assert driven.process.wait(timeout=3) == 0
    assert driven.left() == set()


def test_ending_twice_is_harmless(tmp_path: Path) -> None:
    run = driver.begin(tmp_path, "demo", "run", LEASE_SECONDS)
    driver.end(run)
    driver.end(run)

    with driver.driving(tmp_path, "demo", "another", LEASE_SECONDS):
        pass


def test_a_second_driver_is_refused_with_pid_and_start_of_the_first(rig: Rig) -> None:
    first = rig.drive("sleep 60")
    year = time.strftime("%Y-")

    with pytest.raises(
        InfrastructureError,
        match=rf"'demo' is being driven by process {first.process.pid} since {year}.*\(run run-",
    ):
        driver.begin(rig.root, "demo", "second", LEASE_SECONDS)

    assert len(first.left()) >= 4  # driver, keeper, guard, holder, step: unharmed
    assert not (rig.root / "demo" / "second").exists()


def test_two_campaigns_run_side_by_side_and_end_apart(rig: Rig) -> None:
    one, two = rig.drive("sleep 60", "one"), rig.drive("sleep 60", "two")
    others = two.left()

    kill_nine(one, ("driver",))

    assert wait_until(lambda: not one.left(), LEASE_SECONDS + MARGIN_SECONDS)
    assert two.left() == others


def test_the_lock_goes_with_its_driver_and_not_with_children_it_forked(tmp_path: Path) -> None:
    script = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from escalade.runtime import driver\n"
        "run = driver.begin(Path(sys.argv[1]), 'demo', 'first', 2)\n"
        "if os.fork() == 0:\n"
        "    os.close(1)\n"
        "    time.sleep(20)\n"
        "    os._exit(0)\n"
        "print('forked', flush=True)\n"
        "os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout == "forked\n"

    with driver.driving(tmp_path, "demo", "second", LEASE_SECONDS):
        pass


def test_a_run_id_is_used_once(tmp_path: Path) -> None:
    with driver.driving(tmp_path, "demo", "run", LEASE_SECONDS):
        pass
    with pytest.raises(InfrastructureError, match="every run needs an id of its own"):
        driver.begin(tmp_path, "demo", "run", LEASE_SECONDS)


def test_folders_of_runs_that_are_long_over_are_dropped(tmp_path: Path) -> None:
    for number in range(12):
        folder = tmp_path / "demo" / f"run-{number}"
        folder.mkdir(parents=True)
        (folder / "over.json").write_text("{}")
        os.utime(folder / "over.json", (number, number))

    with driver.driving(tmp_path, "demo", "now", LEASE_SECONDS) as run:
        left = {path.name for path in run.path.parent.iterdir() if path.is_dir()}

    assert left == {"now", *(f"run-{number}" for number in range(2, 12))}


def test_a_state_root_that_cant_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InfrastructureError, match=r"state folder .* can't be written"):
        driver.begin(tmp_path / "file", "demo", "run")


def test_a_removed_state_folder_ends_the_run_instead_of_orphaning_it(rig: Rig) -> None:
    driven = rig.drive(FAMILY)
    spared = [driven.process.pid, driven.keeper]
    (driven.run / "lease").unlink()

    assert wait_until(lambda: not driven.left(*spared), LEASE_SECONDS + MARGIN_SECONDS)


def test_a_full_disk_refuses_the_run_with_a_clear_message(tmp_path: Path) -> None:
    """A file-size limit of zero stands in for the full disk: both refuse new bytes."""
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from escalade.errors import InfrastructureError\n"
        "from escalade.runtime import driver\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    driver.begin(Path(sys.argv[1]), 'demo', 'run')\n"
        "except InfrastructureError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "full")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "could not be written: File too large" in done.stdout
