"""A folder with one campaign against the truth server, and the commands that run on it."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import yaml

from escalade.campaign import events
from escalade.campaign.progress import LIVE
from escalade.cli.main import run as command_line
from escalade.errors import EscaladeError
from escalade.files import read_json
from support import usual_signals

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]


@dataclass
class Workplace:
    """A folder with one campaign file, and the commands that run on it."""

    folder: Path
    campaign: str = "trial"
    children: list[subprocess.Popen[str]] = field(default_factory=list)
    prefix: tuple[str, ...] = ()
    """What stands before a command, to run it elsewhere than here."""
    profile: str = "local"
    """Folder in `profiles` of what `run` uses."""

    @property
    def results(self) -> Path:
        """Folder of the campaign's results."""
        return self.folder / "results" / self.campaign

    @property
    def profile_path(self) -> str:
        """The profile as `--profile` takes it."""
        return str(ROOT / "profiles" / self.profile)

    @property
    def config(self) -> Path:
        """The campaign's file."""
        return self.folder / f"{self.campaign}.yaml"

    def write(self, **changes: Any) -> None:
        """Write a small campaign with some keys changed."""
        content: dict[str, Any] = {
            "campaign": self.campaign,
            "deployments": [deployment("truth")],
            "workload": {"output_tokens": 4, "request_timeout_seconds": 10},
            "load": ladder((10, 2), (20, 2)),
            "slos": [{"name": "fast", "metric": "latency_seconds", "stat": "p50", "limit": 0.5}],
            "execution": {"attempts": 1},
        }
        self.config.write_text(yaml.safe_dump({**content, **changes}, sort_keys=False))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `escalade …` in a session of its own, as a terminal would."""
        child = subprocess.Popen(
            [*self.prefix, sys.executable, "-m", "escalade", *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=usual_signals,
        )
        self.children.append(child)
        return child

    def here(self, *arguments: str) -> tuple[int, str]:
        """Run `escalade …` in this process, which is quick; for commands that start nothing."""
        before, argv, output = Path.cwd(), sys.argv, io.StringIO()
        os.chdir(self.folder)
        sys.argv = ["escalade", *arguments]
        os.environ.pop("ESCALADE_RUN_ID", None)
        try:
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                command_line()
        except SystemExit as end:
            return int(end.code or 0), output.getvalue()
        finally:
            os.chdir(before)
            sys.argv = argv
        return 0, output.getvalue()

    def escalade(self, *arguments: str, timeout: float = 400) -> tuple[int, str]:
        """Run `escalade …` to its end; give exit code and output."""
        child = self.start(*arguments)
        output, _ = child.communicate(timeout=timeout)
        return child.returncode, output

    def run(self, *arguments: str, timeout: float = 400) -> tuple[int, str]:
        """Run `escalade run` on the campaign."""
        child = self.drive(*arguments)
        output, _ = child.communicate(timeout=timeout)
        return child.returncode, output

    def drive(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `escalade run` on the campaign."""
        return self.start("run", str(self.config), "--profile", self.profile_path, *arguments)

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake itself on the campaign."""
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        profile = ["--profile", self.profile_path, "--configfile", str(self.config)]
        return subprocess.run(
            [*command, *profile, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    def cells(self) -> list[str]:
        """Name the cells that have an outcome, in the order in which they ended."""
        found = sorted(
            self.results.glob("cells/*/cell.json"), key=lambda path: path.stat().st_mtime
        )
        return [path.parent.name for path in found]

    def cell(self, name: str = "") -> dict[str, Any]:
        """Read the outcome of a cell, or of the only one."""
        content: dict[str, Any] = read_json(
            self.results / "cells" / (name or self.cells()[0]) / "cell.json", "cell"
        )
        return content

    def steps(self, name: str = "") -> list[dict[str, Any]]:
        """Read the outcomes of a cell's steps."""
        windows = read_json(
            self.results / "cells" / (name or self.cells()[0]) / "windows.json", "windows"
        )
        steps: list[dict[str, Any]] = windows["steps"]
        return steps

    def events(self) -> list[events.Event]:
        """Read the events of the latest run."""
        files = sorted(self.folder.glob(f"state/{self.campaign}/*/events.jsonl"))
        return events.read(files[-1])[0] if files else []

    def cell_states(self, name: str) -> list[dict[str, Any]]:
        """Read the state files of that name of the cells that are on their way."""
        found = self.folder.glob(f"state/{self.campaign}/*/cells/*/{name}.json")
        return [read_json(path, name) for path in sorted(found)]

    def sent(self) -> int:
        """Give how many requests the running step has sent, by its latest word."""
        for path in self.folder.glob(f"state/{self.campaign}/*/cells/*/{LIVE}"):
            with contextlib.suppress(EscaladeError):
                return int(read_json(path, "progress of a step")["sent"])
        return 0

    def await_stage(self, stage: str, timeout: float = 200) -> None:
        """Wait until a stage of the latest run has started."""
        until(lambda: any(e.stage == stage and e.kind == "started" for e in self.events()), timeout)

    def processes(self) -> list[psutil.Process]:
        """Find every process that works in or for this folder."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def running(self, *words: str) -> list[psutil.Process]:
        """Find those of them whose command line holds all the words."""
        return [p for p in self.processes() if all(word in " ".join(p.cmdline()) for word in words)]

    def await_silence(self, timeout: float) -> float:
        """Wait until no process of this folder is left; give the seconds it took."""
        began = time.monotonic()
        try:
            until(lambda: not self.processes(), timeout)
        except TimeoutError as error:
            raise TimeoutError(f"after {timeout} s there is {self.processes()}") from error
        return time.monotonic() - began

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                return False
            words = [process.cwd(), *process.cmdline()]
        except psutil.Error:
            return False
        return any(str(self.folder) in word for word in words)


def deployment(name: str, **parameters: Any) -> dict[str, Any]:
    """Give a deployment of the truth server: 4 slots, 30 ms a request unless told otherwise."""
    quick = {"slots": 4, "ttft_seconds": 0.02, "itl_seconds": 0.003}
    return {"name": name, "recipe": "truth_server", "parameters": {**quick, **parameters}}


def ladder(*rungs: tuple[float, float], drain_timeout_seconds: float = 5) -> dict[str, Any]:
    """Give a ladder of (rate, seconds) with half a second of warm-up."""
    return {
        "arrivals": "constant",
        "calibration_seconds": 0,
        "warmup_seconds": 0.5,
        "drain_timeout_seconds": drain_timeout_seconds,
        "ladder": [{"target_qps": rate, "window_seconds": seconds} for rate, seconds in rungs],
    }


def until(holds: Callable[[], bool], timeout: float) -> None:
    """Wait for something to hold.

    Raises
    ------
    TimeoutError
        When it does not in time.
    """
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"did not hold within {timeout} s")
        time.sleep(0.1)
