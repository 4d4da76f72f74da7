"""CUDA_VISIBLE_DEVICES means here what it means to CUDA."""

from __future__ import annotations

import pytest

from escalade.gpu.nvml import visible

NODE = [(0, "GPU-aa11"), (1, "GPU-aa22"), (3, "GPU-bb33")]
UUIDS = dict(NODE)
CUT = [(0, "MIG-11"), (0, "MIG-12"), (1, "GPU-22")]


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        (None, [0, 1, 3]),
        ("", []),
        ("-1", []),
        ("1", [1]),
        ("3, 0", [3, 0]),
        ("0,-1,1", [0]),
        ("0,2,1", [0]),  # there is no 2: what follows is not seen
        ("1,1", [1]),
        ("GPU-bb33,0", [3, 0]),
        ("GPU-bb", [3]),
        ("GPU-aa", []),  # names two
        ("MIG-GPU-aa11/1/0", []),
        ("NoDevFiles", []),
    ],
)
def test_the_variable_chooses_by_index_or_beginning_of_the_uuid(
    variable: str | None, expected: list[int]
) -> None:
    assert visible(NODE, variable) == [UUIDS[index] for index in expected]


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        (None, ["MIG-11", "MIG-12", "GPU-22"]),
        ("MIG-12", ["MIG-12"]),
        ("MIG-12,MIG-11", ["MIG-12", "MIG-11"]),
        ("0", ["MIG-11"]),
        ("1", ["GPU-22"]),
        ("MIG-1", []),
    ],
)
def test_a_gpu_that_is_cut_up_is_named_by_its_parts(
    variable: str | None, expected: list[str]
) -> None:
    assert visible(CUT, variable) == expected
