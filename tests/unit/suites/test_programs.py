"""The shipped programs print what they measured, or say why they can't."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from escalade.load.stores.vectors import Collection, ExactNeighbours
from escalade.suites.programs.container_spawn import command
from escalade.suites.programs.vector_query import searching
from support import require_or_skip

FEW = ("--iterations", "20")


def run(program: str, *words: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": path or "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-m", f"escalade.suites.programs.{program}", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )


def printed(done: subprocess.CompletedProcess[str]) -> list[float]:
    assert done.returncode == 0, done.stderr
    return [float(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("process_spawn", ()),
        ("message_round_trip", ("--through", "pipe", "--bytes", "200000")),
        ("message_round_trip", ("--through", "tcp", "--bytes", "200000")),
        ("vector_query", ("--vectors", "100", "--dimensions", "4", "--k", "3")),
    ],
)
def test_each_iteration_is_a_time_in_seconds(program: str, words: tuple[str, ...]) -> None:
    times = printed(run(program, *words, *FEW))

    assert len(times) == 20
    assert all(1e-8 < seconds < 10 for seconds in times)


def test_a_copy_is_a_rate_in_bytes_per_second() -> None:
    rates = printed(run("memory_copy", "--bytes", "1048576", *FEW))

    assert all(1e6 < rate < 1e13 for rate in rates)


def test_the_least_time_is_kept() -> None:
    assert len(printed(run("process_spawn", *FEW, "--least-seconds", "0.3"))) > 20


def test_without_a_driver_there_is_no_copy_to_a_gpu() -> None:
    done = run("memory_copy", "--route", "to_gpu", "--library", "/no/libcuda.so", *FEW)

    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr.startswith("no CUDA driver: /no/libcuda.so")


FAKE_CUDA = r"""
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
int cuInit(unsigned f) { return 0; }
int cuDeviceGetCount(int *n) { *n = GPUS; return 0; }
int cuDeviceGet(int *d, int i) { *d = i; return 0; }
int cuDevicePrimaryCtxRetain(void **c, int d) { *c = malloc(1); return 0; }
int cuCtxSetCurrent(void *c) { return 0; }
int cuCtxSynchronize(void) { return 0; }
int cuMemAlloc_v2(uint64_t *p, size_t n) { *p = (uint64_t) malloc(n); return n > LARGEST ? 2 : 0; }
int cuMemAllocHost_v2(void **p, size_t n) { *p = malloc(n); return 0; }
int cuMemcpyHtoD_v2(uint64_t d, const void *s, size_t n) { memcpy((void *) d, s, n); return 0; }
int cuMemcpyDtoH_v2(void *d, uint64_t s, size_t n) { memcpy(d, (void *) s, n); return 0; }
int cuMemcpyDtoD_v2(uint64_t d, uint64_t s, size_t n) { memcpy((void *) d, (void *) s, n); return 700; }
int cuGetErrorString(int e, const char **w) { *w = e == 2 ? "out of memory" : "illegal address"; return 0; }
"""


def fake_cuda(folder: Path, gpus: int = 1) -> str:
    """Build a driver whose GPU is a piece of the host's memory."""
    source, library = folder / "cuda.c", folder / f"libcuda{gpus}.so"
    source.write_text(FAKE_CUDA)
    words = ["gcc", "-shared", "-fPIC", "-w", f"-DGPUS={gpus}", "-DLARGEST=1000000", str(source)]
    try:
        subprocess.run([*words, "-o", str(library)], check=True, capture_output=True)
    except FileNotFoundError:
        require_or_skip("gcc", "there is no gcc to build a driver with")
    return str(library)


def test_copies_go_through_the_drivers_own_calls(tmp_path: Path) -> None:
    driver = ("--library", fake_cuda(tmp_path), "--bytes", "4096")

    for route in ("to_gpu", "from_gpu"):
        assert len(printed(run("memory_copy", "--route", route, *driver, *FEW))) == 20
    broken = run("memory_copy", "--route", "on_gpu", *driver, *FEW)
    assert (broken.returncode, broken.stdout) == (1, "")
    assert "cuMemcpyDtoD_v2: illegal address (700)" in broken.stderr
    large = run("memory_copy", "--route", "to_gpu", *driver[:2], "--bytes", "2000000", *FEW)
    assert (large.returncode, large.stderr) == (69, "cuMemAlloc_v2: out of memory (2)\n")
    none = run("memory_copy", "--route", "to_gpu", "--library", fake_cuda(tmp_path, 0), *FEW)
    assert (none.returncode, none.stderr) == (69, "the CUDA driver shows no GPU\n")


def engine(folder: Path, name: str, script: str) -> str:
    """Put a container engine on a PATH; give that."""
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_without_an_engine_there_is_no_container(tmp_path: Path) -> None:
    done = run("container_spawn", *FEW, path=str(tmp_path))

    assert (done.returncode, done.stdout) == (69, "")
    assert "no container engine on PATH: looked for apptainer, singularity" in done.stderr


def test_apptainer_runs_an_image_of_the_hosts_own_program(tmp_path: Path) -> None:
    said = tmp_path / "said"
    script = f'echo "$@" >> {said}; ls "$5/bin/true" >/dev/null && exec "$6"'

    times = printed(run("container_spawn", *FEW, path=engine(tmp_path, "apptainer", script)))

    assert len(times) == 20
    first = said.read_text().splitlines()[0].split()
    assert first[:4] == ["exec", "--cleanenv", "--no-mount", "home,cwd"]
    assert not Path(first[4]).exists()  # the image went with the program


def test_an_engine_that_starts_nothing_is_not_available(tmp_path: Path) -> None:
    path = engine(tmp_path, "apptainer", "echo 'FATAL: no user namespaces' >&2; exit 255")

    done = run("container_spawn", *FEW, path=path)

    assert (done.returncode, done.stdout) == (69, "")
    assert "starts no container here: FATAL: no user namespaces" in done.stderr


def test_docker_gets_an_image_and_loses_it_again(tmp_path: Path) -> None:
    said = tmp_path / "said"
    path = engine(tmp_path, "docker", f'echo "$@" >> {said}')

    printed(run("container_spawn", "--engine", "docker", *FEW, path=path))

    lines = said.read_text().splitlines()
    image = lines[0].split()[-1]
    assert lines[0].startswith("import ")
    assert lines[1] == f"run --rm --network none --pull never {image} true"
    assert lines[-1] == f"image rm --force {image}"


def test_a_given_image_is_used_as_it_is() -> None:
    assert command("apptainer", "/images/a.sif")[-2:] == ["/images/a.sif", "true"]
    assert command("podman", "alpine")[-2:] == ["alpine", "true"]


def test_without_pgvector_there_is_no_query_of_it(tmp_path: Path) -> None:
    done = run("vector_query_pgvector", *FEW, path=str(tmp_path))
    if done.returncode == 0:  # the tools folder has it
        assert len(done.stdout.splitlines()) == 20
    else:
        assert (done.returncode, done.stdout) == (69, "")
        assert "postgres was not found" in done.stderr


@pytest.mark.parametrize("distance", ["l2", "cosine", "inner_product"])
def test_the_search_finds_the_exact_neighbours_in_order(distance: str) -> None:
    collection = Collection(4, 500, 8)
    vectors = np.concatenate([piece for _, piece in collection.chunks()])
    queries = collection.queries(5)
    exact = ExactNeighbours(queries, 7, distance)
    exact.show(0, vectors)

    search = searching(vectors, 7, distance)
    assert [search(query).tolist() for query in queries] == exact.ids.tolist()
