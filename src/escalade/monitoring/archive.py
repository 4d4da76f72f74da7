"""Prometheus data in one file, and back: a tar archive compressed with Zstandard.

In the archive, `data` is a folder that a Prometheus can open and `prometheus.yml`
the configuration that it was recorded with. The same content gives the same bytes:
members are sorted and carry no times and no owners.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

import zstandard

from escalade.errors import InfrastructureError, InputError
from escalade.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DATA = "data"
CONFIGURATION = "prometheus.yml"

_LEVEL = 6  # the samples are packed already: more costs time and saves nothing
_PIECE_BYTES = 1 << 20


def pack(sources: Mapping[str, Path], destination: Path) -> None:
    """Write files and folders into an archive, whole or not at all.

    Parameters
    ----------
    sources
        Name in the archive to what it holds.
    destination
        The archive, `….tar.zst`.

    Raises
    ------
    InfrastructureError
        When a source can't be read, or the disk is full.
    """
    if absent := [str(source) for source in sources.values() if not source.exists()]:
        raise InfrastructureError(
            f"{destination} was not written: {', '.join(absent)} does not exist here. "
            "Does Prometheus run on another node, without a shared folder?"
        )
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    with (
        replacing(destination) as temporary,
        temporary.open("wb") as file,
        compressor.stream_writer(file) as stream,
        tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, source in sorted(sources.items()):
            for member in _tree(source):
                relative = PurePosixPath(name) / member.relative_to(source).as_posix()
                archive.add(member, str(relative), recursive=False, filter=_anonymous)


def pack_snapshot(data: str, snapshot: str, configuration: str, destination: str) -> bool:
    """Write a snapshot of Prometheus into an archive, and remove it; on the node of its data.

    Parameters
    ----------
    data
        Folder that Prometheus writes.
    snapshot
        Name of the snapshot in it.
    configuration
        File that it was recorded with.
    destination
        The archive.

    Raises
    ------
    InfrastructureError
        When it can't be read, or the disk is full; `destination` is as before.
    """
    folder = Path(data) / "snapshots" / snapshot
    try:
        # promtool does not open a data folder without one; Prometheus does not mind.
        (folder / "wal").mkdir(exist_ok=True)
        pack({DATA: folder, CONFIGURATION: Path(configuration)}, Path(destination))
    except OSError as error:
        raise InfrastructureError(
            f"The snapshot {folder} could not be archived: {error.strerror or error}."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return True


def open_archive(path: Path, folder: Path) -> Path:
    """Unpack an archive.

    Parameters
    ----------
    path
        The archive.
    folder
        Where to; it must not exist, or be empty.

    Returns
    -------
    Path
        The data folder in it, for `prometheus --storage.tsdb.path` or
        `promtool tsdb`.

    Raises
    ------
    InputError
        When the archive is missing, damaged or cut short, would write outside
        `folder`, or holds no data; or when `folder` is in use.
    InfrastructureError
        When the disk is full. In either case `folder` is as it was before.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is in use: expected a new or empty folder to unpack into.")
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    try:
        _check_whole(path)
        partial.mkdir(parents=True, mode=0o700)
        _unpack(path, partial)
        if not (partial / DATA).is_dir():
            raise InputError(f"{path} holds no Prometheus data: expected a folder {DATA!r} in it.")
        partial.rename(folder)
    except FileNotFoundError as error:
        raise InputError(f"archive of Prometheus data: {error.filename} does not exist.") from error
    except (zstandard.ZstdError, tarfile.TarError) as error:
        raise _damaged(path, str(error)) from error
    except OSError as error:
        raise InfrastructureError(
            f"{path} could not be unpacked into {folder}: {error.strerror or error}. "
            "Nothing was left there; free some space or choose another folder."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(partial)
    return folder / DATA


def _tree(source: Path) -> list[Path]:
    inside = sorted(source.rglob("*")) if source.is_dir() else []
    return [source, *inside]


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o700 if member.isdir() else 0o600
    return member


def _check_whole(path: Path) -> None:
    """Read all of it: a cut-off tail would else unpack as a smaller archive."""
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    with path.open("rb") as file:
        while not decompressor.eof and (piece := file.read(_PIECE_BYTES)):
            decompressor.decompress(piece)
        if not decompressor.eof:
            raise _damaged(path, "it ends too early")


def _unpack(path: Path, folder: Path) -> None:
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        for name, content in _members(path, stream):
            target = folder / name
            if content is None:
                target.mkdir(parents=True, exist_ok=True, mode=0o700)
                continue
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with target.open("xb") as written:
                shutil.copyfileobj(content, written, _PIECE_BYTES)


def _members(
    path: Path, stream: zstandard.ZstdDecompressionReader
) -> Iterator[tuple[PurePosixPath, IO[bytes] | None]]:
    """Give name and content (None of a folder) of every member that is safe to write."""
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            name = PurePosixPath(member.name)
            if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
                raise _damaged(path, f"{member.name!r} is no plain file or folder inside it")
            yield name, archive.extractfile(member) if member.isfile() else None


def _damaged(path: Path, why: str) -> InputError:
    return InputError(
        f"archive of Prometheus data: {path} can't be unpacked: {why}. "
        "`escalade replay` checks a campaign against its manifest."
    )
