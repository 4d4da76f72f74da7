"""Step: render the report."""

from typing import TYPE_CHECKING

from escalade.campaign.against import compare_with_stored
from escalade.campaign.reporting import write_report
from escalade.campaign.results import planned_cells, read_resolved
from escalade.cli.stage import campaign_stage
from escalade.files import read_json

if TYPE_CHECKING:
    from snakemake.script import snakemake

with campaign_stage("render_report", snakemake.log[0], snakemake.config) as run:
    provenance = read_json(run.folder.provenance, "provenance")
    known = (run.folder, planned_cells(run), read_resolved(run.folder), provenance)
    compare_with_stored(*known)
    write_report(*known)
