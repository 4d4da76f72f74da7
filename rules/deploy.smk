"""Bring up what a cell needs.

needs: the plan
makes: state files under STATE, which live as long as the cell
"""

# One rule per cell, with falling priority, keeps the plan's order.
for position, planned in enumerate(RUN.unfinished):

    rule:
        name:
            f"allocate_{RUN.rule_name(planned)}"
        output:
            allocation=temp(f"{STATE}/{planned.name}/allocation.json"),
            schedule=f"{RESULTS}/cells/{planned.name}/schedule.parquet",
        log:
            f"{RESULTS}/logs/{planned.name}/allocate.log",
        priority: -position
        localrule: True
        conda:
            "../envs/runner.yaml"
        resources:
            lane=1,
        params:
            cell=planned.name,
        script:
            "../scripts/allocate.py"


rule start_prometheus:
    input:
        allocation=f"{STATE}/{{cell}}/allocation.json",
    output:
        prometheus=temp(f"{STATE}/{{cell}}/prometheus.json"),
    log:
        f"{RESULTS}/logs/{{cell}}/start_prometheus.log",
    priority: 10
    localrule: True
    conda:
        "../envs/runner.yaml"
    resources:
        lane=1,
    script:
        "../scripts/start_prometheus.py"


rule deploy_exporters:
    input:
        allocation=f"{STATE}/{{cell}}/allocation.json",
        prometheus=f"{STATE}/{{cell}}/prometheus.json",
    output:
        exporters=temp(f"{STATE}/{{cell}}/exporters.json"),
    log:
        f"{RESULTS}/logs/{{cell}}/deploy_exporters.log",
    priority: 20
    localrule: True
    conda:
        "../envs/runner.yaml"
    resources:
        lane=1,
    script:
        "../scripts/deploy_exporters.py"


rule load_models:
    input:
        allocation=f"{STATE}/{{cell}}/allocation.json",
        prometheus=f"{STATE}/{{cell}}/prometheus.json",
        exporters=f"{STATE}/{{cell}}/exporters.json",
    output:
        service=temp(f"{STATE}/{{cell}}/service.json"),
    log:
        f"{RESULTS}/logs/{{cell}}/load_models.log",
    priority: 30
    localrule: True
    conda:
        "../envs/runner.yaml"
    resources:
        lane=1,
    script:
        "../scripts/load_models.py"
