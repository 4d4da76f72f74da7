"""Step: cover every artifact with its SHA-256."""

from typing import TYPE_CHECKING

from escalade.cli.stage import campaign_stage
from escalade.manifest import write_manifest

if TYPE_CHECKING:
    from snakemake.script import snakemake

with campaign_stage("write_manifest", snakemake.log[0], snakemake.config) as run:
    write_manifest(run.folder.path)
