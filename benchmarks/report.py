"""Time and size of a large campaign's report: `python benchmarks/report.py [CELLS [STEPS]]`.

Prints markdown. The campaign is made up (20 cells with 200 steps in all, by default): requests of a
queue with few servers, samples once a second, KPIs and verdicts by the analysis. Aims: rendered in
under 20 s, a page of at most 5 MB, the same bytes every time.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from escalade.analysis.findings import findings
from escalade.campaign.layout import CampaignFolder
from escalade.campaign.reporting import rendered
from escalade.campaign.results import capacity_table, write_csv
from escalade.files import write_json
from escalade.provenance import host_facts

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from unit.report import campaign  # noqa: E402 - lies beside the tests

if TYPE_CHECKING:
    from escalade.report.data import ReportData

AIM_SECONDS, AIM_BYTES = 20.0, 5_000_000
DEPLOYMENTS = 4
SHOWN = 12


def large(cells: int = 20, steps: int = 200) -> ReportData:
    """Give results of that many cells, with the steps shared out evenly."""
    rates = tuple(0.5 * rung for rung in range(1, steps // cells + 1))
    names = tuple(f"slots-{2 + place}" for place in range(min(DEPLOYMENTS, cells)))
    data = campaign.report_data(names, cells // len(names), rates)
    found = findings(data.verdicts, data.kpis, data.cells)
    return replace(data, verdicts={**data.verdicts, "findings": found})


def stored(data: ReportData, folder: CampaignFolder) -> None:
    """Write the files that the page offers for download."""
    write_csv(folder.kpis_csv, data.kpis)
    write_csv(folder.capacity, capacity_table(data.verdicts))
    write_json(folder.verdicts, data.verdicts)


def main(cells: int = 20, steps: int = 200) -> int:
    """Render twice, profile once, print; exit code 1 when an aim is missed."""
    began = time.monotonic()
    data = large(cells, steps)
    made = time.monotonic() - began
    with TemporaryDirectory(prefix="escalade-report-") as temporary:
        folder = CampaignFolder(Path(temporary) / "large")
        stored(data, folder)
        runs = []
        for _ in range(2):
            fresh, began, spent = replace(data), time.monotonic(), time.process_time()
            runs.append(rendered(folder, fresh))
            wall, cpu = time.monotonic() - began, time.process_time() - spent
        profile = cProfile.Profile()
        profile.runcall(rendered, folder, replace(data))
    page, twin = (len(text.encode("utf-8")) for text in runs[0])
    same = runs[0] == runs[1]
    node, load = host_facts(), ", ".join(f"{part:.1f}" for part in os.getloadavg())
    print(f"{node['cpu_model']}, {node['cpus_usable']} CPUs, load average {load}\n")
    print("| figure | value | aim |\n|---|---|---|")
    print(f"| cells, steps, KPI rows | {cells}, {steps}, {len(data.kpis)} | |")
    print(f"| simulated, reduced and judged | {made:.1f} s | |")
    print(f"| rendered, wall time | {wall:.1f} s | under {AIM_SECONDS:g} s |")
    print(f"| rendered, CPU time | {cpu:.1f} s | |")
    print(f"| report.html | {page / 1e6:.2f} MB | at most {AIM_BYTES / 1e6:g} MB |")
    print(f"| report.json | {twin / 1e6:.2f} MB | |")
    print(f"| the same bytes again | {'yes' if same else 'no'} | yes |")
    _print_profile(profile)
    return 0 if wall < AIM_SECONDS and page <= AIM_BYTES and same else 1


def _print_profile(profile: cProfile.Profile) -> None:
    """Print which functions of the report the time goes to, what they call included."""
    entries = pstats.Stats(profile).get_stats_profile().func_profiles
    ours = [
        (name, entry)
        for name, entry in entries.items()
        if "escalade/report" in entry.file_name and entry.cumtime >= 0.1
    ]
    ours.sort(key=lambda pair: -pair[1].cumtime)
    print("\n| function | calls | s, under the profiler |\n|---|---|---|")
    for name, entry in ours[:SHOWN]:
        place = entry.file_name.rpartition("escalade/report/")[2]
        print(f"| `{place}: {name}` | {entry.ncalls} | {entry.cumtime:.1f} |")


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
