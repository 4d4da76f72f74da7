"""The site: what is true of a cluster for all campaigns of one person.

Accounts, partitions and paths stand in one file of the user's, so that a campaign
runs anywhere. Order: built-in defaults, then the site, then the campaign.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from escalade.campaign.bounds import Bounds
from escalade.campaign.prices import Prices
from escalade.campaign.project import configuration_home, project_root
from escalade.campaign.slurm import COMPONENTS, Line, Slurm, Word
from escalade.errors import InputError
from escalade.services.validation import NAME, Section, nearest, read_yaml, validated

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "ESCALADE_SITE"
"""Names a site file to use instead of the user's own."""
GENERIC = "generic"
_ADDED = ("cpus", "memory_mb")


class Limits(Section):
    """What a partition or a QOS allows, and what its nodes are; what is left out is not checked."""

    max_nodes: Annotated[int, Field(ge=1)] | None = None
    """Nodes of one job."""
    max_hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Time limit of one job, in hours."""
    max_jobs: Annotated[int, Field(ge=1)] | None = None
    """Jobs of one user at a time; each component of a heterogeneous job is one."""
    whole_nodes: bool = False
    """The smallest job gets, and is charged for, whole nodes."""
    cores: Annotated[int, Field(ge=1)] | None = None
    """Logical CPUs of a node."""
    memory_mb: Annotated[int, Field(ge=1)] | None = None
    """Memory of a node in MiB."""
    gpus: Annotated[int, Field(ge=0)] | None = None
    """GPUs of a node."""
    max_gpus: Annotated[int, Field(ge=0)] | None = None
    """GPUs of one job."""


class SiteLimits(Section):
    """Limits by the name of the partition or the QOS."""

    partitions: dict[str, Limits] = Field(default_factory=dict)
    """Limits of partitions."""
    qos: dict[str, Limits] = Field(default_factory=dict)
    """Limits of QOS."""
    heterogeneous_jobs: bool = True
    """Whether heterogeneous jobs work here; without them client and service are a plain job each."""


class Site(Section):
    """A cluster, as one person uses it."""

    site: Annotated[str, Field(pattern=NAME)]
    """Name of the site."""
    account: Word | None = None
    """Account of every component that names none."""
    qos: Word | None = None
    """QOS of every component that names none."""
    required: tuple[Literal["account", "qos"], ...] = ()
    """Keys without which this site takes no job."""
    slurm: Slurm = Slurm()
    """Defaults of execution.slurm."""
    limits: SiteLimits = SiteLimits()
    """What a plan is checked against."""
    login_nodes: tuple[Word, ...] = ()
    """Host names of login nodes, as in "login*": no service and no load is run there."""
    storage: tuple[Line, ...] = ()
    """Folders of shared storage, which containers see as well."""
    apptainer_module: Annotated[str, Field(pattern=r"^[\w./ +-]+$")] | None = None
    """Modules to load for Apptainer, as in "Apptainer/1.3.6"."""
    setup: tuple[Line, ...] = ()
    """Shell lines at the beginning of every job, in a login shell."""
    bounds: Bounds = Bounds()
    """What the hardware can do, where a campaign does not say it."""
    prices: Prices = Prices()
    """What hours cost, where a campaign does not say it."""
    source: str = ""
    """Where this was read; not written in the file."""

    def defaults(self) -> dict[str, Any]:
        """Give what this site says about execution.slurm, and nothing that it leaves open."""
        own = self.slurm.model_dump(mode="json", exclude_unset=True)
        common = {
            key: value for key in ("account", "qos") if (value := getattr(self, key)) is not None
        }
        for name in COMPONENTS:
            own[name] = {**common, **own.get(name, {})}
        module = (f"module load {self.apptainer_module}",) if self.apptainer_module else ()
        own.setdefault("setup", [*self.setup, *module])
        own.setdefault("binds", list(self.storage))
        return own


def site_file() -> Path:
    """Give the path of the user's site file, whether it is there or not."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    return configuration_home() / "escalade" / "site.yaml"


def load_site(name: str | None = None) -> Site:
    """Give the site that a campaign or profile means.

    Parameters
    ----------
    name
        As in `execution.site`. The user's file counts when it describes this site,
        or when no site is named; else the description that is shipped counts.

    Returns
    -------
    Site
        One without defaults and limits when nothing is named and there is no file.

    Raises
    ------
    InputError
        When a site file can't be used, or nothing describes the site that is named.
    """
    path = site_file()
    if os.environ.get(VARIABLE):
        return read_site(path)
    own = read_site(path) if path.exists() else None
    if own is not None and name in {None, own.site}:
        return own
    if name is None:
        return Site(site=GENERIC, source="no site file")
    shipped = shipped_sites()
    if name not in shipped:
        raise InputError(
            f"execution.site is {name!r}, and nothing describes this site: {path} "
            f"{'is about ' + repr(own.site) if own else 'does not exist'}. "
            f"{nearest(name, shipped)} `escalade init --site SITE` writes a site file."
        )
    return read_site(shipped[name])


def read_site(path: Path) -> Site:
    """Read a site file.

    Raises
    ------
    InputError
        When it is missing or says what can't be.
    """
    return validated(Site, {**read_yaml(path, "site file"), "source": str(path)}, str(path))


def shipped_sites() -> dict[str, Path]:
    """Give the site descriptions that come with the profiles, by the site's name."""
    return {_name_of(path): path for path in sorted(project_root().glob("profiles/*/site.yaml"))}


def _name_of(path: Path) -> str:
    return str(read_yaml(path, "site file").get("site", path.parent.name))


def with_site(content: Mapping[str, Any]) -> dict[str, Any]:
    """Put the site's defaults under what a campaign says, where it runs on Slurm.

    Parameters
    ----------
    content
        The campaign as it was parsed, not checked yet: what is no mapping stays
        as it is, for the check to name it.

    Raises
    ------
    InputError
        As `load_site`.
    """
    execution = content.get("execution")
    if not isinstance(execution, dict) or execution.get("launcher") != "slurm":
        return dict(content)
    own, name = execution.get("slurm", {}), execution.get("site")
    parts = [own, *(own.get(part, {}) for part in COMPONENTS)] if isinstance(own, dict) else [own]
    if not all(isinstance(part, dict) for part in parts) or not isinstance(name, str | None):
        return dict(content)
    site = load_site(name)
    merged = merge_slurm(site.defaults(), own)
    more = {**_bounds(site, content), **_prices(site, content)}
    return {**content, **more, "execution": {**execution, "slurm": merged}}


def _bounds(site: Site, content: Mapping[str, Any]) -> dict[str, Any]:
    """Give what the site says of the hardware under what the campaign says; nothing where neither does."""
    told, own = site.bounds.model_dump(mode="json", exclude_unset=True), content.get("bounds", {})
    return {"bounds": {**told, **own}} if told and isinstance(own, dict) else {}


def _prices(site: Site, content: Mapping[str, Any]) -> dict[str, Any]:
    """Give the site's prices where the campaign has none of its own; nothing where neither has."""
    told = site.prices.model_dump(mode="json", exclude_unset=True)
    return {"prices": told} if told and "prices" not in content else {}


def merge_slurm(site: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two sections execution.slurm key by key; lists are replaced, not joined.

    The component of the shared topology begins as that of the service, since this
    is where both then are, and has the CPUs and memory of both.
    """
    merged = {**site, **own}
    for name in ("client", "service"):
        merged[name] = {**site.get(name, {}), **own.get(name, {})}
    layers = [
        site.get("service", {}),
        site.get("all", {}),
        own.get("service", {}),
        own.get("all", {}),
    ]
    stated = {**layers[1], **layers[3]}
    merged["all"] = {key: value for layer in layers for key, value in layer.items()}
    for key in _ADDED:
        parts = [merged[name].get(key) for name in ("client", "service")]
        if key not in stated:
            merged["all"][key] = _both(parts)
    return merged


def _both(parts: list[Any]) -> Any:
    """Add up what both state; nothing is known when one does not, and 0 stands for all there is."""
    if not all(isinstance(part, int) for part in parts):
        return None
    return 0 if 0 in parts else sum(parts)
