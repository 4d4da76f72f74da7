"""Folders on a node's own disk, for what must not wait for shared storage."""

from __future__ import annotations

import os
from pathlib import Path

from escalade.errors import InfrastructureError


def make_scratch(root: str, name: str) -> str:
    """Make a folder of this user's alone on this node; give its path.

    Parameters
    ----------
    root
        Where to: an absolute path, in which variables such as $TMPDIR are replaced by
        what they are on this node.
    name
        Unique, so that two campaigns do not meet.

    Raises
    ------
    InfrastructureError
        When a variable is not set there, or the folder can't be made.
    """
    where, node = os.path.expandvars(root), os.uname().nodename
    if "$" in where or not Path(where).is_absolute():
        raise InfrastructureError(
            f"The local folder {root!r} is {where!r} on {node}; expected an absolute path, and "
            "variables that are set there. Correct execution.slurm.local_folder."
        )
    folder = Path(where) / f"escalade-{name}"
    try:
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(
            f"The local folder {folder} can't be made on {node}: {error.strerror or error}. Name "
            "another one in execution.slurm.local_folder."
        ) from error
    return str(folder)
