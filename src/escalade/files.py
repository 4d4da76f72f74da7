"""Reading and writing files so that none is ever half-written or misread.

Writers write to a temporary name in the same folder, flush to disk and rename:
a reader sees the old file or the new one. Readers turn what a user can cause
(missing file, truncated JSON, a table without its columns) into `InputError`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from typing import TYPE_CHECKING, Any

from escalade.errors import InfrastructureError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the block ends without error.

    Raises
    ------
    InfrastructureError
        When the file system refuses (no space left, read-only, no permission);
        `path` is then as it was before.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise InfrastructureError(
            f"{path} could not be written: {error.strerror or error}. "
            "Nothing was changed; free some space or choose another results folder, "
            "then start again: finished cells are kept."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def append_line(path: Path, line: str) -> None:
    """Append a line and flush it to disk; one that a crash cut short does not swallow it.

    Raises
    ------
    OSError
        When it can't be written.
    """
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(handle).st_size
        whole = size == 0 or os.pread(handle, 1, size - 1) == b"\n"
        os.write(handle, (b"" if whole else b"\n") + line.encode() + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write `text` in UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys; NaN is refused, since JSON has none."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path, what: str) -> Any:
    """Read JSON; `what` names the file in the error, as in "state of the allocation"."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{what}: {path} does not exist.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{what}: {path} can't be read as JSON ({error}).") from error


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write Parquet (zstd); the same frame gives the same bytes with the same pyarrow."""
    with replacing(path) as temporary:
        frame.to_parquet(temporary, engine="pyarrow", compression="zstd", index=False)


def read_table(
    path: Path, what: str, columns: Sequence[str] = (), only: list[str] | None = None
) -> pd.DataFrame:
    """Read Parquet, or `only` some columns of it, and insist on `columns`.

    Raises
    ------
    InputError
        When the file is missing, damaged, or lacks a column.
    """
    import pandas as pd  # noqa: PLC0415 - a second to import, and most callers read JSON only

    try:
        frame = pd.read_parquet(path, engine="pyarrow", columns=only)
    except FileNotFoundError:
        raise InputError(f"{what}: {path} does not exist.") from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{what}: {path} can't be read as Parquet ({error}). It may be damaged: "
            "`escalade replay` checks a campaign against its manifest."
        ) from error
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise InputError(f"{what}: {path} lacks the column(s) {', '.join(missing)}.")
    return frame


def sha256_of(path: Path) -> str:
    """Give the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def tail(path: Path, lines: int = 20) -> list[str]:
    """Give the last `lines` lines of a log; an absent log has none."""
    try:
        with path.open("rb") as opened:
            opened.seek(max(0, path.stat().st_size - 400 * lines))
            text = opened.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return text.splitlines()[-lines:]
