"""Step: get the allocation of a cell and draw its schedule."""

from typing import TYPE_CHECKING

from escalade.campaign.deploy import allocate
from escalade.cli.stage import cell_stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

with cell_stage("allocate", snakemake.params.cell, snakemake.log[0], snakemake.config) as here:
    allocate(here)
