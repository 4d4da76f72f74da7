"""Step: judge the KPIs: gates, SLO verdicts, capacity."""

from typing import TYPE_CHECKING

from escalade.campaign.results import planned_cells, read_resolved, write_verdicts
from escalade.cli.stage import campaign_stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

with campaign_stage("judge", snakemake.log[0], snakemake.config) as run:
    write_verdicts(run.folder, planned_cells(run), read_resolved(run.folder))
