"""`escalade init`: the user's site file, and the profile under its name in Snakemake."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from escalade.campaign.project import configuration_home
from escalade.campaign.site import Site, shipped_sites, site_file
from escalade.errors import InputError
from escalade.files import replacing
from escalade.services.validation import nearest, validated

if TYPE_CHECKING:
    from pathlib import Path

_ACCOUNT = re.compile(r"^account:.*$", re.MULTILINE)


def init(
    *,
    site: Annotated[str, typer.Option(help="Which description to begin with: meluxina, generic.")],
    account: Annotated[str, typer.Option(help="Account that pays for the jobs.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Write your site file, and make its profile known to Snakemake by name."""
    shipped = shipped_sites()
    if site not in shipped:
        raise InputError(f"There is no site {site!r}. {nearest(site, shipped)}")
    target, profile = site_file(), shipped[site].parent.resolve()
    link = configuration_home() / "snakemake" / profile.name
    text = _with_account(shipped[site].read_text(encoding="utf-8"), account)
    written = validated(Site, yaml.safe_load(text), f"--account {account!r} in {shipped[site]}")
    _refuse_to_replace(target, link, profile, force=force)
    _write_private(target, text)
    _link(link, profile)
    typer.echo(f"{target} describes the site {site}: have a look at it.")
    typer.echo(f"{link} leads to {profile}: snakemake --profile {profile.name}")
    for sentence in _missing_keys(written):
        typer.echo(sentence)


def _missing_keys(site: Site) -> list[str]:
    """Say which keys a site requires that its own file leaves out."""
    return [
        f"The site takes no job without {key}: set it in {site_file()}."
        for key in site.required
        if getattr(site, key) is None
    ]


def _with_account(text: str, account: str) -> str:
    """Put the account in, as YAML text whatever it looks like."""
    if not account:
        return text
    line = f"account: {yaml.safe_dump(account, default_style=chr(34)).strip()}"
    return _ACCOUNT.sub(lambda _: line, text, count=1)


def _refuse_to_replace(target: Path, link: Path, profile: Path, *, force: bool) -> None:
    taken = link.is_symlink() or link.exists()
    right = taken and link.resolve() == profile
    if taken and not right and not link.is_symlink():
        raise InputError(
            f"{link} is there and is no link of Escalade's. Move it away, then repeat."
        )
    present = [str(path) for path, there in ((target, target.exists()), (link, taken)) if there]
    if right and present == [str(link)]:
        return
    if present and not force:
        raise InputError(
            f"{' and '.join(present)} would be replaced. Repeat with --force to do so."
        )


def _write_private(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_text(text, encoding="utf-8")


def _link(link: Path, profile: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink():
        link.unlink()
    link.symlink_to(profile)
