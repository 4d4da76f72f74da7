#!/bin/sh
# The tests of the monitoring service in an Apptainer container: builds the image on first use, and
# runs in a short job where there is Slurm and this is no job yet. Arguments are tests.
set -eu
cd "$(dirname "$0")/.."
image=${ESCALADE_TEST_IMAGE:-.tools/monitoring-tests.sif}
if ! command -v apptainer >/dev/null 2>&1; then
    echo "Apptainer is not on PATH. Install it, or load its module (module load Apptainer); without a container: make test." >&2
    exit 3
fi
if [ -z "${SLURM_JOB_ID:-}" ] && command -v srun >/dev/null 2>&1; then
    echo "Not in a job: asking Slurm for 2 CPUs and 8 GB for 15 minutes."
    exec srun --ntasks=1 --cpus-per-task=2 --mem=8G --time=15 sh envs/monitoring-tests.sh "$@"
fi
if [ ! -e "$image" ]; then
    echo "Building $image (some minutes, once)."
    mkdir -p "$(dirname "$image")"
    apptainer build "$image.new" envs/monitoring-tests.def
    mv "$image.new" "$image"
fi
exec apptainer run --cleanenv --bind "$PWD":/app:ro "$image" "$@"
