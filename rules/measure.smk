"""Run the ladder of a cell, one step right after the other.

needs: a service that is ready
makes: the state file that says so; outcome and request log of each step lie in the cell
"""


rule run_ladder:
    input:
        # allocation, Prometheus and schedule come before the service, and archive_cell keeps
        # them: naming them here would only lengthen a large dry run
        service=f"{STATE}/{{cell}}/service.json",
    output:
        ladder=temp(f"{STATE}/{{cell}}/ladder.json"),
    log:
        f"{RESULTS}/logs/{{cell}}/run_ladder.log",
    priority: 40
    localrule: not RUN.load_as_job
    conda:
        "../envs/runner.yaml"
    resources:
        **LOAD_RESOURCES,
        lane=1,
    script:
        "../scripts/run_ladder.py"
