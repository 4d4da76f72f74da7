"""Step: record what made this result."""

from typing import TYPE_CHECKING

from escalade.campaign.analyse import collect_provenance
from escalade.cli.stage import campaign_stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

with campaign_stage("collect_provenance", snakemake.log[0], snakemake.config) as run:
    collect_provenance(run)
