"""Step: start the service under test, with its models, and wait until all is scraped."""

from typing import TYPE_CHECKING

from escalade.campaign.deploy import load_models
from escalade.cli.stage import cell_stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

with cell_stage(
    "load_models", snakemake.wildcards.cell, snakemake.log[0], snakemake.config
) as here:
    load_models(here)
