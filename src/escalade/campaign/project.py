"""Where the workflow itself is: Snakefile, profiles, recipes."""

from __future__ import annotations

import os
from pathlib import Path

from escalade.errors import InputError

_CHECKOUT = Path(__file__).parents[3]


def project_root() -> Path:
    """Give the folder of the Snakefile: the working directory, else the checkout of this library.

    Raises
    ------
    InputError
        When neither holds a Snakefile.
    """
    for folder in (Path(), _CHECKOUT):
        if (folder / "Snakefile").is_file():
            return folder
    raise InputError(
        f"No Snakefile in {Path.cwd()} nor in {_CHECKOUT}. Start Escalade in its checkout."
    )


def configuration_home() -> Path:
    """Give the folder of user-level configuration, by the XDG base directory specification."""
    named = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return named if named.is_absolute() else Path.home() / ".config"


def profile_folder(profile: str) -> Path:
    """Give the folder of a Snakemake profile: its path, as in `profiles/local`, or its name.

    Names are looked up where Snakemake does (the user's own profiles), then in profiles/.

    Raises
    ------
    InputError
        When there is none; the known ones are listed.
    """
    root = project_root()
    own = configuration_home() / "snakemake" / profile
    for folder in (Path(profile), own, root / profile, root / "profiles" / profile):
        if (folder / "config.yaml").is_file():
            return folder
    known = sorted(path.parent.name for path in project_root().glob("profiles/*/config.yaml"))
    raise InputError(
        f"There is no profile {profile!r}: no config.yaml in such a folder. "
        f"Shipped are: {', '.join(f'profiles/{name}' for name in known)}."
    )
