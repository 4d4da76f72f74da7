"""The campaign of this run: its plan, its unfinished cells, its folders.

needs: the configuration
makes: RUN, RESULTS, STATE and the wildcard constraints
"""

from snakemake.exceptions import WorkflowError

from escalade.campaign.plugin import (
    analysis_resources,
    component_resources,
    load_resources,
)
from escalade.campaign.run import begin_run, end_run, open_run, version_of
from escalade.cli.progress import show_in_background
from escalade.errors import EscaladeError

try:
    RUN = open_run(config, [str(path) for path in workflow.configfiles])
except EscaladeError as error:
    raise WorkflowError(str(error)) from None

RESULTS = RUN.folder.path.as_posix()
STATE = (RUN.state / "cells").as_posix()

# The chain of a cell runs where the driver is; the load only unless it is a job. What is
# left, analysis and report, goes to the executor that the profile names, if it names one.
LOAD_RESOURCES = load_resources(RUN)
ANALYSIS_RESOURCES = analysis_resources(RUN.plan.campaign)
COMPONENT_RESOURCES = component_resources(RUN.plan.campaign)

# Snakemake does not see edits in src/; analysis and report cost no node-hours,
# so they are made again when their sources change.
KPI_VERSION = version_of("analysis")
REPORT_VERSION = version_of("report")

# Each rule of a cell's chain takes one lane, so that a cell that was begun is
# ended before the next one begins.
workflow.global_resources.setdefault("lane", RUN.plan.campaign.execution.parallel_cells)


# A cell that is over has no rule: its files are source files, which no trigger
# and no --force can make again.
wildcard_constraints:
    cell=RUN.unfinished_pattern,


def finished_cells(wildcards):
    """The outcome of every planned cell, measured in this run or before."""
    return [f"{RESULTS}/cells/{cell.name}/cell.json" for cell in RUN.plan.cells]


def measured_components(wildcards):
    """The tables of the component benchmarks, where the campaign has any."""
    if not RUN.plan.campaign.components:
        return []
    return [
        f"{RESULTS}/components/components.{kind}" for kind in ("json", "csv", "parquet")
    ]
