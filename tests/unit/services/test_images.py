"""What a service runs from: digests of images and programs, and why where there is none.

No Apptainer is on the machines that these tests run on. A program of its name prints what
`apptainer inspect --json` prints of an image that was pulled from a registry.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from escalade.services import images
from escalade.services.images import ran_from

if TYPE_CHECKING:
    from collections.abc import Callable

BUILT = "org.label-schema.usage.singularity.deffile"
LABELS = {
    "org.label-schema.build-arch": "amd64",
    "org.label-schema.build-date": "Tuesday_5_November_2024_9:52:33_UTC",
    "org.label-schema.schema-version": "1.0",
    "org.label-schema.usage.apptainer.version": "1.3.4",
    f"{BUILT}.bootstrap": "docker",
    f"{BUILT}.from": "vllm/vllm-openai:v0.8.4",
}
PRINTED = {"data": {"attributes": {"labels": LABELS}}, "type": "container"}
CONTENT = b"SIF_MAGIC and layers"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "vllm.sif"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def apptainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give what puts a program on PATH that is called apptainer, with what it does in shell."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def put(does: str) -> None:
        program = folder / "apptainer"
        program.write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
        program.chmod(0o755)

    return put


def printing(content: object) -> str:
    return f'test "$1 $2" = "inspect --json" || exit 9\ncat <<\'END\'\n{json.dumps(content)}\nEND'


def test_a_sif_file_is_told_by_its_hash_its_labels_and_what_it_was_built_from(
    image: Path, apptainer: Callable[[str], None]
) -> None:
    apptainer(printing(PRINTED))

    assert ran_from(str(image), "apptainer") == {
        "image": {
            "reference": str(image),
            "sha256": SHA256,
            "size_bytes": len(CONTENT),
            "labels": LABELS,
            "source": "docker://vllm/vllm-openai:v0.8.4",
        }
    }


@pytest.mark.parametrize(
    ("does", "why"),
    [
        ("echo 'FATAL: not a SIF' >&2; exit 255", "inspect ended with 255: FATAL: not a SIF"),
        ("exit 1", "inspect ended with 1: it said nothing"),
        ("echo no JSON", "inspect printed no labels"),
        ("echo '[]'", "inspect printed no labels"),
        (None, "there is no apptainer on PATH"),
    ],
)
def test_without_labels_the_hash_stands_and_the_reason(
    image: Path, apptainer: Callable[[str], None], does: str | None, why: str
) -> None:
    if does is not None:
        apptainer(does)

    found = ran_from(str(image), "apptainer")["image"]

    assert (found["sha256"], found["labels"], found["source"]) == (SHA256, None, None)
    assert found["why"].startswith("its labels are not known: ")
    assert found["why"].endswith(why)


def test_an_image_without_labels_has_no_source(
    image: Path, apptainer: Callable[[str], None]
) -> None:
    apptainer(printing({"data": {"attributes": {"labels": None}}}))

    found = ran_from(str(image), "apptainer")["image"]

    assert (found["labels"], found["source"], "why" in found) == ({}, None, False)


def test_a_file_that_is_not_there_has_no_hash_and_says_so(
    tmp_path: Path, apptainer: Callable[[str], None]
) -> None:
    apptainer("exit 255")

    found = ran_from(str(tmp_path / "gone.sif"), "apptainer")["image"]

    assert (found["sha256"], found["size_bytes"]) == (None, None)
    assert found["why"].startswith("it can't be read (No such file or directory); ")


def test_a_file_that_takes_too_long_has_no_hash(
    image: Path, apptainer: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    apptainer(printing(PRINTED))
    monkeypatch.setattr(images, "_READ_WITHIN_SECONDS", -1.0)

    found = ran_from(str(image), "apptainer")["image"]

    assert (found["sha256"], found["size_bytes"]) == (None, len(CONTENT))
    assert "was not read within" in found["why"]


def test_a_sandbox_has_no_digest(tmp_path: Path) -> None:
    found = ran_from(str(tmp_path), "apptainer")["image"]

    assert found["sha256"] is None
    assert "build a SIF file" in found["why"]


def test_a_reference_is_told_by_the_digest_that_it_names() -> None:
    digest = f"sha256:{'0f' * 32}"
    pinned = f"docker://vllm/vllm-openai@{digest}"

    assert ran_from(pinned, "sh") == {"image": {"reference": pinned, "digest": digest}}
    tagged = ran_from("docker://vllm/vllm-openai:v0.8.4", "sh")["image"]
    assert tagged["digest"] is None
    assert "write IMAGE@sha256:" in tagged["why"]


def test_without_an_image_the_program_is_told() -> None:
    found = ran_from("", sys.executable)["binary"]

    assert found["path"] == sys.executable
    assert found["sha256"] == hashlib.sha256(Path(sys.executable).read_bytes()).hexdigest()
    gone = ran_from("", "no-such-program")
    assert gone == {
        "binary": {
            "path": "no-such-program",
            "sha256": None,
            "why": "it is not on PATH outside the service",
        }
    }
