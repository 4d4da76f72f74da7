"""Options of sbatch that a campaign may not add, and who decides instead."""

from __future__ import annotations

_HELD = "one job holds one allocation, with one task per node"
_LOG = "the log lies with the cell"
_RETRIES = "retries are Escalade's, and counted"
_SUBMITS = "it would not be submitted, or not at once"

_DECIDED = {
    "--account": "the key account says so",
    "--array": _HELD,
    "--chdir": "it runs in the folder of its allocation",
    "--clusters": "jobs are looked for where they were submitted",
    "--constraint": "the key constraint says so",
    "--cpus-per-gpu": "the key cpus says so",
    "--cpus-per-task": "the key cpus says so",
    "--dependency": "the plan says what waits for what",
    "--error": _LOG,
    "--exclusive": "the key exclusive says so",
    "--export": "its environment is that of a login",
    "--export-file": "its environment is that of a login",
    "--gpus": "the key gpus says how many, and gpu_type which",
    "--gpus-per-node": "the key gpus says how many, and gpu_type which",
    "--gpus-per-socket": "the key gpus says how many, and gpu_type which",
    "--gpus-per-task": "the key gpus says how many, and gpu_type which",
    "--gres": "the key gpus says how many, and gpu_type which",
    "--help": _SUBMITS,
    "--hold": _SUBMITS,
    "--input": "nothing is read",
    "--job-name": "it names the campaign and the cell",
    "--mem": "the key memory_mb says so",
    "--mem-per-cpu": "the key memory_mb says so",
    "--mem-per-gpu": "the key memory_mb says so",
    "--no-requeue": _RETRIES,
    "--nodes": "the key nodes says so",
    "--ntasks": _HELD,
    "--ntasks-per-core": _HELD,
    "--ntasks-per-gpu": _HELD,
    "--ntasks-per-node": _HELD,
    "--ntasks-per-socket": _HELD,
    "--open-mode": _LOG,
    "--output": _LOG,
    "--parsable": "it reads what sbatch prints",
    "--partition": "the key partition says so",
    "--qos": "the key qos says so",
    "--requeue": _RETRIES,
    "--reservation": "the key reservation says so",
    "--signal": "the plan says when a driver has to end",
    "--test-only": _SUBMITS,
    "--time": "the plan and the key time_limit_seconds say so",
    "--time-min": "the plan and the key time_limit_seconds say so",
    "--usage": _SUBMITS,
    "--version": _SUBMITS,
    "--wait": "it waits by itself",
    "--wrap": "the script is its own",
}

_SHORT = {
    "-A": "--account",
    "-C": "--constraint",
    "-D": "--chdir",
    "-G": "--gpus",
    "-H": "--hold",
    "-J": "--job-name",
    "-M": "--clusters",
    "-N": "--nodes",
    "-V": "--version",
    "-W": "--wait",
    "-a": "--array",
    "-c": "--cpus-per-task",
    "-d": "--dependency",
    "-e": "--error",
    "-h": "--help",
    "-i": "--input",
    "-n": "--ntasks",
    "-o": "--output",
    "-p": "--partition",
    "-q": "--qos",
    "-t": "--time",
}


def decided(option: str) -> str | None:
    """Say why an option can't be added; None when it can.

    sbatch takes any clear beginning of a long option, as in `--part=gpu`, and the value of
    a short one without a blank, as in `-pgpu`. An exact name counts before a beginning.
    """
    name = option.partition("=")[0]
    if not name.startswith("--"):
        meant = _SHORT.get(name[:2])
    elif name in _DECIDED:
        meant = name
    else:
        meant = next((own for own in _DECIDED if own.startswith(name)), None)
    return None if meant is None else f"Escalade sets {meant} itself: {_DECIDED[meant]}"
