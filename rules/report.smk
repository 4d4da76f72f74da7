"""Tell the campaign on one offline page.

needs: KPIs, verdicts, provenance, and the cells behind them
makes: report.html, report.json; comparison.json where a baseline of the campaign's name is stored
"""

from escalade.campaign.against import baseline_digest
from escalade.campaign.baselines import HOME


rule render_report:
    input:
        resolved=f"{RESULTS}/campaign.resolved.yaml",
        provenance=f"{RESULTS}/provenance.json",
        kpis=f"{RESULTS}/kpis.parquet",
        verdicts=f"{RESULTS}/verdicts.json",
        components=measured_components,
        cells=finished_cells,
    output:
        page=report(
            f"{RESULTS}/report.html",
            caption="../report/report.rst",
            category="Report",
        ),
        twin=f"{RESULTS}/report.json",
    log:
        f"{RESULTS}/logs/render_report.log",
    conda:
        "../envs/runner.yaml"
    resources:
        **ANALYSIS_RESOURCES,
    params:
        report_version=REPORT_VERSION,
        # a baseline is no part of the campaign: another one makes another report
        baseline=baseline_digest(HOME / RUN.name),
    script:
        "../scripts/render_report.py"
