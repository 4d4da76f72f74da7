"""Folders that appear whole or not at all, and temporary ones that no killed process leaves for ever.

Both are held by a lock (`flock`) on the folder itself while they are used, which the kernel
drops with the process. Whoever makes the next one of its kind removes those that nobody holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from escalade.errors import InfrastructureError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def assembling(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside `folder` that takes its name when the block ends without error.

    Parameters
    ----------
    folder
        It must not exist, or be empty.

    Raises
    ------
    InputError
        When it is in use.
    InfrastructureError
        When the file system refuses (no space left, read-only, no permission); nothing is
        left there then.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is in use: expected a new or an empty folder. Name another.")
    folder = folder.absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with held(folder.parent, f".{folder.name}.", 0o777) as temporary:
            yield temporary
            _flush(temporary)
            temporary.rename(folder)
    except OSError as error:
        raise InfrastructureError(
            f"{folder} could not be written: {error.strerror or error}. Nothing was left there; "
            "free some space or name another folder, then start again."
        ) from error


@contextlib.contextmanager
def passing(name: str) -> Iterator[Path]:
    """Give a folder among the machine's temporary ones ($TMPDIR) that is removed at the end.

    Parameters
    ----------
    name
        Of what it is for: what a killed process left of that name is removed too.

    Raises
    ------
    InfrastructureError
        When it can't be made.
    """
    root = Path(tempfile.gettempdir())
    try:
        with held(root, f"escalade-{name}-{os.getuid()}.", 0o700) as temporary:
            yield temporary
    except OSError as error:
        raise InfrastructureError(
            f"A folder in {root} failed: {error.strerror or error}. "
            "Free some space there, or set TMPDIR to another place."
        ) from error


@contextlib.contextmanager
def held(root: Path, beginning: str, mode: int = 0o777) -> Iterator[Path]:
    """Give a folder in another one that is removed at the end, with what it holds then.

    Parameters
    ----------
    root
        Where it is made.
    beginning
        Of its name: what a killed process left of that beginning is removed too.
    mode
        Of its permissions.

    Raises
    ------
    OSError
        When it can't be made.
    """
    for left in root.glob(f"{_literal(beginning)}*.tmp"):
        _remove_if_left(left)
    folder = root / f"{beginning}{secrets.token_hex(4)}.tmp"
    folder.mkdir(mode)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: nobody can take it either
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _remove_if_left(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except OSError:  # somebody uses it, or nobody can tell
        return
    finally:
        os.close(handle)


def _flush(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _literal(text: str) -> str:
    """Escape what `glob` would take for a pattern."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in text)
