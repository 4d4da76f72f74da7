"""Reduce the cells to KPIs and verdicts, and seal the campaign.

needs: cell.json of every planned cell
makes: campaign.resolved.yaml, kpis.*, verdicts.json, provenance.json, MANIFEST.json
"""


rule resolve_campaign:
    output:
        resolved=f"{RESULTS}/campaign.resolved.yaml",
    log:
        f"{RESULTS}/logs/resolve_campaign.log",
    conda:
        "../envs/runner.yaml"
    resources:
        **ANALYSIS_RESOURCES,
    params:
        configuration=RUN.configuration_json,
    script:
        "../scripts/resolve_campaign.py"


rule aggregate_kpis:
    input:
        resolved=f"{RESULTS}/campaign.resolved.yaml",
        cells=finished_cells,
    output:
        kpis=f"{RESULTS}/kpis.parquet",
        csv=report(
            f"{RESULTS}/kpis.csv",
            caption="../report/kpis.rst",
            category="KPIs",
        ),
        summary=f"{RESULTS}/metrics_summary.csv",
    log:
        f"{RESULTS}/logs/aggregate_kpis.log",
    conda:
        "../envs/runner.yaml"
    resources:
        **ANALYSIS_RESOURCES,
    params:
        kpi_version=KPI_VERSION,
    script:
        "../scripts/aggregate_kpis.py"


rule judge:
    input:
        resolved=f"{RESULTS}/campaign.resolved.yaml",
        kpis=f"{RESULTS}/kpis.parquet",
        components=measured_components,
        cells=finished_cells,
    output:
        verdicts=f"{RESULTS}/verdicts.json",
        capacity=f"{RESULTS}/capacity.csv",
    log:
        f"{RESULTS}/logs/judge.log",
    conda:
        "../envs/runner.yaml"
    resources:
        **ANALYSIS_RESOURCES,
    params:
        kpi_version=KPI_VERSION,
    script:
        "../scripts/judge.py"


rule collect_provenance:
    input:
        resolved=f"{RESULTS}/campaign.resolved.yaml",
        cells=finished_cells,
    output:
        provenance=f"{RESULTS}/provenance.json",
    log:
        f"{RESULTS}/logs/collect_provenance.log",
    conda:
        "../envs/runner.yaml"
    resources:
        **ANALYSIS_RESOURCES,
    script:
        "../scripts/collect_provenance.py"


rule write_manifest:
    input:
        resolved=f"{RESULTS}/campaign.resolved.yaml",
        provenance=f"{RESULTS}/provenance.json",
        kpis=f"{RESULTS}/kpis.parquet",
        csv=f"{RESULTS}/kpis.csv",
        summary=f"{RESULTS}/metrics_summary.csv",
        verdicts=f"{RESULTS}/verdicts.json",
        capacity=f"{RESULTS}/capacity.csv",
        page=f"{RESULTS}/report.html",
        twin=f"{RESULTS}/report.json",
        components=measured_components,
        cells=finished_cells,
    output:
        manifest=f"{RESULTS}/MANIFEST.json",
    log:
        f"{RESULTS}/logs/write_manifest.log",
    conda:
        "../envs/runner.yaml"
    resources:
        **ANALYSIS_RESOURCES,
    script:
        "../scripts/write_manifest.py"
