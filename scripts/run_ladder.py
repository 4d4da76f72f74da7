"""Step: run the ladder of a cell."""

from typing import TYPE_CHECKING

from escalade.campaign.measure import run_ladder
from escalade.cli.stage import cell_stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

with cell_stage("run_ladder", snakemake.wildcards.cell, snakemake.log[0], snakemake.config) as here:
    run_ladder(here)
