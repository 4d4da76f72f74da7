"""What Slurm's accounting has on energy: joules of job steps, where the site gathers them.

The site chooses what measures (`AcctGatherEnergyType`: IPMI, RAPL, Cray's counters), and Slurm
takes the same counter for every step on a node: what is counted are whole nodes, not a step's
own share, so that steps are never added up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.runtime.slurm.notation import SEPARATOR, unexpected
from escalade.runtime.slurm.times import unix

if TYPE_CHECKING:
    from escalade.runtime.slurm.calls import Caller

SACCT_ENERGY = "JobID,JobName,Start,End,NNodes,NodeList,ConsumedEnergyRaw"
"""For `sacct --noheader --parsable2 --format`, with `SEPARATOR` as delimiter."""
_MOST_JOULES = 1e15
"""Above are Slurm's marks for what is not known (2⁶⁴ − 2), and counters that wrapped."""


@dataclass(frozen=True, slots=True)
class StepEnergy:
    """What the nodes of a job step took while it ran.

    Parameters
    ----------
    step
        As Slurm names it: "38113.0", "38113.batch".
    name
        As given to srun.
    began, ended
        Unix seconds.
    nodes, hosts
        Number of nodes, and their names as Slurm writes them.
    joules
        Of all these nodes together, other jobs' work on them included.
    """

    step: str
    name: str
    began: float
    ended: float
    nodes: int
    hosts: str
    joules: float


def parse_sacct_energy(text: str) -> list[StepEnergy]:
    """Read `sacct` in `SACCT_ENERGY`: the steps that are over and have energy; 0 J is none.

    Raises
    ------
    InfrastructureError
        When a line has other fields than asked for, or a number is none.
    """
    found = []
    for line in filter(str.strip, text.split("\n")):
        fields = [field.strip() for field in line.split(SEPARATOR)]
        if len(fields) != 7:
            raise unexpected("sacct", line, f"7 fields, got {len(fields)}")
        step, name, start, end, nodes, hosts, raw = fields
        began, ended = unix(start, "sacct"), unix(end, "sacct")
        if "." not in step or not raw or began is None or ended is None:
            continue
        if not (re.fullmatch(r"\d+(\.\d+)?", raw) and nodes.isdigit()):
            raise unexpected("sacct", line, "numbers of nodes and joules")
        if 0 < float(raw) < _MOST_JOULES:
            found.append(StepEnergy(step, name, began, ended, int(nodes), hosts, float(raw)))
    return found


def energy_source(caller: Caller) -> str:
    """Name the plugin that measures, as in "acct_gather_energy/ipmi"; empty where the site has none."""
    answer = caller.call(["scontrol", "show", "config"])
    found = re.search(r"(?m)^AcctGatherEnergyType\s*=\s*(\S+)", answer.output)
    if answer.code != 0 or found is None or found[1] in {"(null)", "acct_gather_energy/none"}:
        return ""
    return found[1]


def energy_of(job: str, caller: Caller) -> list[StepEnergy]:
    """Ask the accounting for the steps of a job; none where there is no accounting.

    Raises
    ------
    InfrastructureError
        When sacct prints something else than it was asked for.
    """
    if not caller.has("sacct"):
        return []
    form = [f"--format={SACCT_ENERGY}", f"--delimiter={SEPARATOR}"]
    answer = caller.call(["sacct", "--noheader", "--parsable2", f"--jobs={job}", *form])
    return parse_sacct_energy(answer.output) if answer.code == 0 else []
