"""Step: start the Prometheus of a cell."""

from typing import TYPE_CHECKING

from escalade.campaign.deploy import start_prometheus
from escalade.cli.stage import cell_stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

with cell_stage(
    "start_prometheus", snakemake.wildcards.cell, snakemake.log[0], snakemake.config
) as here:
    start_prometheus(here)
