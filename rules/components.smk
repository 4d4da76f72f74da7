"""Measure component benchmarks when the cells are over, and nothing runs beside them.

needs: cell.json of every planned cell
makes: components/: samples and outcome of each, and the tables made of them
"""


rule measure_components:
    input:
        cells=finished_cells,
    output:
        summary=f"{RESULTS}/components/components.json",
        csv=f"{RESULTS}/components/components.csv",
        table=f"{RESULTS}/components/components.parquet",
    log:
        f"{RESULTS}/logs/measure_components.log",
    priority: 10
    conda:
        "../envs/runner.yaml"
    threads: RUN.component_threads(workflow.cores)
    resources:
        **COMPONENT_RESOURCES,
    params:
        components=RUN.components_json,
        kpi_version=KPI_VERSION,
    script:
        "../scripts/measure_components.py"
