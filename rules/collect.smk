"""Take home what a cell measured, and stop everything of it.

needs: a ladder that is over, and what the cell runs on
makes: series, requests, windows, the Prometheus archive, and cell.json last
"""

# tsdb.tar.zst is no output: a cell without monitoring has none, and nothing is made of it.


rule query_windows:
    input:
        # archive_cell keeps the other state files
        ladder=f"{STATE}/{{cell}}/ladder.json",
    output:
        series=f"{RESULTS}/cells/{{cell}}/series.parquet",
        windows=f"{RESULTS}/cells/{{cell}}/windows.json",
        requests=f"{RESULTS}/cells/{{cell}}/requests.parquet",
    log:
        f"{RESULTS}/logs/{{cell}}/query_windows.log",
    priority: 50
    localrule: True
    conda:
        "../envs/runner.yaml"
    resources:
        lane=1,
    script:
        "../scripts/query_windows.py"


rule archive_cell:
    input:
        allocation=f"{STATE}/{{cell}}/allocation.json",
        prometheus=f"{STATE}/{{cell}}/prometheus.json",
        exporters=f"{STATE}/{{cell}}/exporters.json",
        service=f"{STATE}/{{cell}}/service.json",
        windows=f"{RESULTS}/cells/{{cell}}/windows.json",
        series=f"{RESULTS}/cells/{{cell}}/series.parquet",
    output:
        environment=f"{RESULTS}/cells/{{cell}}/environment.json",
        cell=f"{RESULTS}/cells/{{cell}}/cell.json",
    log:
        f"{RESULTS}/logs/{{cell}}/archive_cell.log",
    priority: 60
    localrule: True
    conda:
        "../envs/runner.yaml"
    resources:
        lane=1,
    script:
        "../scripts/archive_cell.py"
