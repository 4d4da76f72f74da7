"""Step: archive the cell and stop everything of it."""

from typing import TYPE_CHECKING

from escalade.campaign.collect import archive_cell
from escalade.cli.stage import cell_stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

with cell_stage(
    "archive_cell", snakemake.wildcards.cell, snakemake.log[0], snakemake.config
) as here:
    archive_cell(here)
