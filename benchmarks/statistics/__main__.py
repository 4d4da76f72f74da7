"""How good the statistics are where the truth is known: `python benchmarks/statistics [--quick]`.

Prints markdown, one table per claim; exit code 1 when something wanted is missed. Everything is
drawn from seeds, so the same command prints the same figures. (A folder, since a file
statistics.py here would hide the standard library's module from the scripts beside it.)
"""

from __future__ import annotations

import argparse
import sys
import time

from comparisons import comparisons
from frame import Claim, Run, table
from gates import cold_starts, false_alarms
from intervals import (
    dependent_percentiles,
    gaps,
    independent_percentiles,
    means,
    ratios,
    repetitions,
    throughputs,
)
from samples import counters, gauges
from trends import changes, no_change

from escalade.provenance import host_facts

CLAIMS = (
    Claim("percentiles", "Percentiles of independent requests", independent_percentiles, 4000),
    Claim("queues", "Percentiles near saturation", dependent_percentiles, 400),
    Claim("means", "Means", means, 400),
    Claim("ratios", "Ratios", ratios, 4000),
    Claim("throughput", "Throughput", throughputs, 10_000),
    Claim("gaps", "Token gaps", gaps, 200),
    Claim("gauges", "Means of gauges", gauges, 600),
    Claim("counters", "Rates of counters, and loads without a rate", counters, 1000),
    Claim("repetitions", "Over repetitions", repetitions, 10_000),
    Claim("comparisons", "Comparisons of two campaigns", comparisons, 4000),
    Claim("gates", "False alarms of gates", false_alarms, 1000),
    Claim("warm-up", "Warm-ups that were too short", cold_starts, 1000),
    Claim("trends", "Histories without a change", no_change, 4000),
    Claim("changes", "Histories with a change", changes, 2000),
)
SEED = 20261122


def main() -> int:
    """Simulate, print; 1 when a claim is missed."""
    parser = argparse.ArgumentParser(prog="python benchmarks/statistics", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs")
    parser.add_argument("--seed", type=int, default=SEED)
    names = [claim.name for claim in CLAIMS]
    parser.add_argument(
        "--only", choices=names, action="append", help="this claim; may be repeated"
    )
    chosen = parser.parse_args()
    node = host_facts()
    print(f"{time.strftime('%Y-%m-%d')}, {node['cpu_model']}, seed {chosen.seed}\n")
    missed = 0
    for claim in CLAIMS:
        if chosen.only and claim.name not in chosen.only:
            continue
        began = time.process_time()
        runs = max(50, claim.runs // 10) if chosen.quick else claim.runs
        rows = list(claim.simulate(Run(runs, chosen.seed)))
        missed += sum(not row.reached for row in rows)
        spent = time.process_time() - began
        print(f"### {claim.title}\n\n{table(rows)}\n\n({spent:.0f} s of CPU)\n", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
