"""One campaign, from the first allocation to the report.

Run it with `snakemake --profile profiles/local`; another campaign with
`--configfile FILE`. docs/architecture.md explains why the chain is built so.
"""

from snakemake.utils import min_version

min_version("9.27")

if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/deploy.smk"
include: "rules/measure.smk"
include: "rules/collect.smk"
include: "rules/components.smk"
include: "rules/analyse.smk"
include: "rules/report.smk"


report: "report/workflow.rst"


localrules:
    all,


rule all:
    default_target: True
    input:
        [f"{RESULTS}/cells/{cell.name}/cell.json" for cell in RUN.plan.cells],
        f"{RESULTS}/report.html",
        f"{RESULTS}/MANIFEST.json",


# Nothing above starts, stops or deletes anything: the same lines run under -n,
# --lint, --rulegraph and --unlock, beside a campaign that may be live.
onstart:
    # By default Snakemake starts at most 100 jobs a second, and to keep to it wakes its
    # scheduler once a second for every round it made before, while a job waits for its lane:
    # work that grows with the campaign, on cores that are being measured. Lanes limit the jobs
    # here; without the other limit the scheduler sleeps until a job ends.
    workflow.scheduler.job_rate_limiter = None
    begin_run(RUN)
    show_in_background(RUN)


onsuccess:
    end_run(RUN)


onerror:
    end_run(RUN)
