"""Where the workflow itself is: Snakefile, profiles, recipes."""

from __future__ import annotations

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


def profile_folder(profile: str) -> Path:
    """Give the folder of a Snakemake profile, named by its path or as in `profiles/local`.

    Raises
    ------
    InputError
        When there is none; the known ones are listed.
    """
    for folder in (Path(profile), project_root() / profile):
        if (folder / "config.yaml").is_file():
            return folder
    known = sorted(path.parent.name for path in project_root().glob("profiles/*/config.yaml"))
    raise InputError(
        f"There is no profile {profile!r}: no config.yaml in such a folder. "
        f"Shipped are: {', '.join(f'profiles/{name}' for name in known)}."
    )
