"""Step: write the configuration with every default spelled out."""

import json
from typing import TYPE_CHECKING

from escalade.campaign.results import write_resolved
from escalade.cli.stage import campaign_stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

with campaign_stage("resolve_campaign", snakemake.log[0], snakemake.config) as run:
    write_resolved(run.folder, json.loads(snakemake.params.configuration))
