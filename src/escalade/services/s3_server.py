"""nanio, a small S3 server in Python, with the password of its cell.

`python -m escalade.services.s3_server --data FOLDER --secret-file FILE --port 9000`

It checks signatures and streams objects to and from files; it is a stand-in to try the
measurement of an object store with, and not one to be proud of.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

ACCESS_KEY = "escalade"
UNUSABLE_INPUT = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Become the server; give an exit code when that can't be."""
    parser = argparse.ArgumentParser(prog="s3_server", description="A small S3 server.")
    parser.add_argument("--data", type=Path, required=True, help="folder of its own")
    parser.add_argument("--secret-file", type=Path, required=True, help="file with the secret key")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, required=True, help="TCP port to listen on")
    options = parser.parse_args(argv)
    try:
        secret = options.secret_file.read_text(encoding="ascii").strip()
        options.data.mkdir(parents=True, exist_ok=True)
    except (OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"s3_server: {error}\n")
        return UNUSABLE_INPUT
    known = {"NANIO_ACCESS_KEY": ACCESS_KEY, "NANIO_SECRET_KEY": secret}
    command = [sys.executable, "-m", "nanio", "serve", "--data-dir", str(options.data)]
    command += ["--host", options.host, "--port", str(options.port), "--no-access-log"]
    command += ["--log-level", "warning"]
    return _become(command, {**os.environ, **known})


def _become(command: list[str], environment: dict[str, str]) -> NoReturn:
    os.execve(command[0], command, environment)  # noqa: S606 - the launcher sees one process


if __name__ == "__main__":
    raise SystemExit(main())
