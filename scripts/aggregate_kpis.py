"""Step: reduce the cells to KPIs."""

from typing import TYPE_CHECKING

from escalade.campaign.results import planned_cells, read_resolved, write_kpis
from escalade.cli.stage import campaign_stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

with campaign_stage("aggregate_kpis", snakemake.log[0], snakemake.config) as run:
    write_kpis(run.folder, planned_cells(run), read_resolved(run.folder))
