"""Run the ladder of a cell, one step after the other.

needs: a service that is ready, and the outcome of the step before
makes: the outcome of the step; its request log lies beside it
"""


rule run_load:
    input:
        # allocation, Prometheus and schedule come before the service, and archive_cell keeps
        # them: naming them for every step would double the time of a large dry run
        service=f"{STATE}/{{cell}}/service.json",
        previous=previous_outcome,
    output:
        outcome=f"{RESULTS}/cells/{{cell}}/steps/{{step}}/outcome.json",
        requests=f"{RESULTS}/cells/{{cell}}/steps/{{step}}/requests-0.parquet",
    log:
        f"{RESULTS}/logs/{{cell}}/run_load_{{step}}.log",
    priority: 40
    localrule: not RUN.load_as_job
    conda:
        "../envs/runner.yaml"
    resources:
        **LOAD_RESOURCES,
        lane=1,
    script:
        "../scripts/run_load.py"
