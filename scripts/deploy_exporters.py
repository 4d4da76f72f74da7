"""Step: start the exporters of a cell."""

from typing import TYPE_CHECKING

from escalade.campaign.deploy import deploy_exporters
from escalade.cli.stage import cell_stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

with cell_stage(
    "deploy_exporters", snakemake.wildcards.cell, snakemake.log[0], snakemake.config
) as here:
    deploy_exporters(here)
