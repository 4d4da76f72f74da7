"""Step: take the raw samples of every window from Prometheus."""

from typing import TYPE_CHECKING

from escalade.campaign.collect import query_windows
from escalade.cli.stage import cell_stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

with cell_stage(
    "query_windows", snakemake.wildcards.cell, snakemake.log[0], snakemake.config
) as here:
    query_windows(here)
