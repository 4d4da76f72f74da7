"""Step: run one step of the ladder."""

from typing import TYPE_CHECKING

from escalade.campaign.measure import run_load
from escalade.cli.stage import cell_stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

step = int(snakemake.wildcards.step)
with cell_stage(
    f"run_load_{step}", snakemake.wildcards.cell, snakemake.log[0], snakemake.config
) as here:
    run_load(here, step)
