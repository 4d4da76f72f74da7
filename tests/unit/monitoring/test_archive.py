"""An archive comes back as it was, or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from escalade.errors import InfrastructureError, InputError
from escalade.monitoring.archive import open_archive, pack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNKS = bytes(range(256)) * 40


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "block" / "chunks").mkdir(parents=True)
    (source / "wal").mkdir()
    (source / "block" / "chunks" / "000001").write_bytes(CHUNKS)
    (tmp_path / "prometheus.yml").write_text("global: {}\n")
    return packed(tmp_path)


def packed(folder: Path, name: str = "tsdb.tar.zst") -> Path:
    sources = {"data": folder / "source", "prometheus.yml": folder / "prometheus.yml"}
    pack(sources, folder / name)
    return folder / name


def archive_of(path: Path, *members: tarfile.TarInfo) -> Path:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    path.write_bytes(zstandard.compress(raw.getvalue()))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, 1 if kind == tarfile.REGTYPE else 0
    return info


@contextlib.contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_goes_in_comes_out(archive: Path, tmp_path: Path) -> None:
    data = open_archive(archive, tmp_path / "opened")

    assert data == tmp_path / "opened" / "data"
    assert (data / "block" / "chunks" / "000001").read_bytes() == CHUNKS
    assert (data / "wal").is_dir()
    assert (tmp_path / "opened" / "prometheus.yml").read_text() == "global: {}\n"


def test_the_same_content_gives_the_same_bytes_whenever_it_was_written(
    archive: Path, tmp_path: Path
) -> None:
    for path in (tmp_path / "source").rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o777)

    assert packed(tmp_path, "again.tar.zst").read_bytes() == archive.read_bytes()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_archive_that_is_cut_short_is_refused(
    archive: Path, tmp_path: Path, data: st.DataObject
) -> None:
    whole = archive.read_bytes()
    short = tmp_path / "short.tar.zst"
    short.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])

    with pytest.raises(InputError, match=r"short.tar.zst can't be unpacked"):
        open_archive(short, tmp_path / "opened")
    assert not (tmp_path / "opened").exists()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_never_changes_what_comes_out(
    archive: Path, tmp_path: Path, data: st.DataObject
) -> None:
    content = bytearray(archive.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (tmp_path / "flipped.tar.zst").write_bytes(content)
    shutil.rmtree(tmp_path / "opened", ignore_errors=True)

    with contextlib.suppress(InputError):  # else it is a bit that Zstandard does not use
        opened = open_archive(tmp_path / "flipped.tar.zst", tmp_path / "opened")
        assert (opened / "block" / "chunks" / "000001").read_bytes() == CHUNKS
        return
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize(
    "bad",
    [
        member("/data/x"),
        member("data/../../x"),
        member("..", tarfile.DIRTYPE),
        member("data/x", tarfile.SYMTYPE, "/etc/passwd"),
        member("data/x", tarfile.LNKTYPE, "data/y"),
        member("data/x", tarfile.FIFOTYPE),
        member("data/x", tarfile.CHRTYPE),
    ],
)
def test_members_that_would_lead_outside_are_refused(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    archive = archive_of(tmp_path / "bad.tar.zst", member("data", tarfile.DIRTYPE), bad)

    with pytest.raises(InputError, match="is no plain file or folder inside it"):
        open_archive(archive, tmp_path / "in" / "opened")
    assert sorted(path.name for path in tmp_path.iterdir()) in (
        ["bad.tar.zst"],
        ["bad.tar.zst", "in"],
    )
    assert not list(tmp_path.glob("in/*"))


def test_an_archive_without_data_is_refused(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "other.tar.zst", member("readme"))

    with pytest.raises(InputError, match="holds no Prometheus data"):
        open_archive(archive, tmp_path / "opened")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar.zst").write_bytes(zstandard.compress(b"no tar at all"))

    with pytest.raises(InputError, match="can't be unpacked"):
        open_archive(tmp_path / "a.tar.zst", tmp_path / "opened")
    with pytest.raises(InputError, match=r"none.tar.zst does not exist"):
        open_archive(tmp_path / "none.tar.zst", tmp_path / "opened")


def test_a_folder_in_use_is_not_touched(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "opened").mkdir()
    (tmp_path / "opened" / "mine").write_text("mine")

    with pytest.raises(InputError, match="is in use"):
        open_archive(archive, tmp_path / "opened")
    assert [path.name for path in (tmp_path / "opened").iterdir()] == ["mine"]


def test_a_full_disk_leaves_no_archive_and_an_old_one_as_it_was(
    archive: Path, tmp_path: Path
) -> None:
    before = archive.read_bytes()
    (tmp_path / "source" / "noise").write_bytes(os.urandom(100_000))

    with files_limited_to(10_000), pytest.raises(InfrastructureError, match="could not be written"):
        packed(tmp_path)

    assert archive.read_bytes() == before
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_full_disk_leaves_nothing_unpacked(archive: Path, tmp_path: Path) -> None:
    with files_limited_to(5000), pytest.raises(InfrastructureError, match="could not be unpacked"):
        open_archive(archive, tmp_path / "in" / "opened")

    assert not list((tmp_path / "in").iterdir())


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="source does not exist here"):
        pack({"data": tmp_path / "source"}, tmp_path / "tsdb.tar.zst")
    assert not list(tmp_path.iterdir())
