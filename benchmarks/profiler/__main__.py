"""The profiler's claims, in one run: `python benchmarks/profiler [--quick]`.

Four nodes of eight simulated GPUs, each in a network namespace of its own (as root; else on ports of
this machine, with a relay that can be cut), and a head beside them. Prints a markdown table of each
claim, what was measured, and what gswarm 0.4.3 shows for it. --quick halves the waits: for a look.
Exit code 1 when a claim does not hold.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1] / "tests"), str(HERE)]

from claims import CLAIMS, measured  # noqa: E402 - lies beside
from field import Field  # noqa: E402
from install import installed  # noqa: E402
from many import head_share  # noqa: E402

from escalade.provenance import host_facts  # noqa: E402
from gpus import Machine, build_library  # noqa: E402


def main(arguments: list[str]) -> int:
    """Measure and print; exit code 1 when a claim does not hold."""
    scale = 0.5 if "--quick" in arguments else 1.0
    host = host_facts()
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        folder = Path(place)
        machine = Machine(build_library(folder), folder, patch)
        for _ in range(8):
            machine.model("h100")
        with Field(folder, machine) as field:
            print(
                f"{host['cpu_model']}, {host['cpus_usable']} CPUs; nodes: {field.kind}\n",
                flush=True,
            )
            found = measured(field, scale)
        found["many"] = head_share(folder / "many", 30 * scale)
        found["install"] = installed(folder / "installed")
    print("| claim | aim | measured | gswarm 0.4.3 |")
    print("|---|---|---|---|")
    kept = True
    for key, claim in CLAIMS.items():
        value, words = found[key]
        holds = claim.holds(value)
        kept &= holds
        print(
            f"| {claim.name} | {claim.aim} | {words}{'' if holds else ' **missed**'} | {claim.peer} |"
        )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
