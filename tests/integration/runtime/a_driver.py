"""A driver to be killed: begins a run, starts one step, tells about it, and waits."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from escalade.runtime import driver
from escalade.runtime.local import LocalLauncher
from escalade.runtime.steps import StepSpec

root, campaign, lease, command = sys.argv[1:]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
run = driver.begin(Path(root), campaign, f"run-{os.getpid()}", float(lease))
try:
    launcher = LocalLauncher()
    allocation = launcher.allocate("cell", run.path / "cell", run)
    spec = StepSpec("step", ("bash", "-c", command), "service", run.path / "step.log")
    launcher.start(allocation, spec)
    told = {"run": str(run.path), "allocation": allocation.to_json()}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    while True:
        signal.pause()
finally:
    driver.end(run)
