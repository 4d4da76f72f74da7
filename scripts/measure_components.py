"""Step: measure the campaign's component benchmarks."""

from typing import TYPE_CHECKING

from escalade.campaign.parts import measure_parts
from escalade.cli.stage import campaign_stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

with campaign_stage("measure_components", snakemake.log[0], snakemake.config) as run:
    measure_parts(run)
