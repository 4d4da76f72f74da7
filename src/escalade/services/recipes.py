"""Recipes: how one kind of service is started, probed, scraped and spoken to.

A recipe is a file, `config/recipes/<name>.yaml`. It is checked as a whole when
it is loaded: a placeholder without a parameter, a default out of bounds, or a
metric that nothing is computed from, is an error then and not in the middle of
a campaign.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from escalade.errors import InputError
from escalade.services.bound_inputs import BoundInputs
from escalade.services.containers import Container, contained, image_of, require_program
from escalade.services.metric_names import Agreement, Metrics
from escalade.services.needs import Needs
from escalade.services.parameters import Parameter, Value, check_given, settle
from escalade.services.readiness import Prepare, Probe
from escalade.services.templates import Words, fill, fill_command, fill_values, placeholders
from escalade.services.validation import Section, nearest, read_yaml, validated
from escalade.services.versions import VersionSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

BUILT_IN = ("python", "host", "port", "service_cpus", "scratch", "secret_file")
OF_THE_CELL = ("prepared", "secret_file")
_HERE = "http://{host}:{port}"
OF_A_MODEL = ("model_path", "model_name")
_NOT_DEFINING = {"description", "needs", "version", "probe", "metrics", "agreement", "bounds"}


class Speaks(Section):
    """How to talk to the service."""

    kind: str
    """Name of the load workload that it understands."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Parameters for the workload; texts may hold {model_name}, {model_path}, the recipe's parameters, {prepared}
    (folder with what `prepare` wrote) and {secret_file}. One whose parameter is not set is left out."""


class ModelCount(Section):
    """How many models the service loads at its start."""

    minimum: Annotated[int, Field(ge=0)] = 0
    """At least so many."""
    maximum: Annotated[int, Field(ge=0)] = 0
    """At most so many."""

    @property
    def expected(self) -> str:
        """Say it: "no model", "1 model", "1 to 4 models"."""
        if self.maximum == 0:
            return "no model"
        low, high = self.minimum, self.maximum
        return f"{high} model{'s' * (high > 1)}" if low == high else f"{low} to {high} models"


@dataclass(frozen=True)
class ServedModel:
    """What a command needs to know about a model."""

    name: str
    path: Path


@dataclass(frozen=True)
class Command:
    """What to execute."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    image: str = ""
    """Path or reference of the image that it runs in; empty without one."""


class Recipe(Section):
    """One kind of service."""

    name: str
    """Name of the file without its ending; not written in the file."""
    description: Annotated[str, Field(min_length=1)]
    """One sentence for people."""
    needs: Needs = Needs()
    """What has to be installed."""
    version: VersionSource | None = None
    """Where the version is read; of a service that is not started here it is not known."""
    models: ModelCount = ModelCount()
    """How many models it takes."""
    command: tuple[Words, ...] = ()
    """Words with placeholders: {python}, {host}, {port}, {service_cpus}, {model_path} and
    {model_name} where it takes one model, the parameters and tools, {scratch} (a folder of the
    service's own on its node, removed afterwards) and {secret_file} (a file with a password made
    for this cell alone). `{when: p, words: […]}` is given only when p is set; `{for_each: model,
    words: […]}` once per model. Without a command the service is there already: nothing is
    started or ended, and url says where it is."""
    url: str = _HERE
    """Where it is spoken to, with placeholders."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Environment variables, with placeholders."""
    container: Container | None = None
    """The Apptainer image that the command runs in; on the host itself when left out."""
    parameters: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Parameter] = Field(
        default_factory=dict
    )
    """What a deployment may set."""
    probe: Probe
    """How to know that it is ready."""
    prepare: Prepare | None = None
    """What is put into it before the load."""
    metrics: Metrics | None = None
    """Its metrics; none when it has no such page."""
    agreement: Agreement | None = None
    """What client and service are compared on."""
    workload: Speaks
    """How to talk to it."""
    bounds: BoundInputs | None = None
    """What its upper bounds are computed from."""

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        taken = [name for name in self.parameters if name in BUILT_IN + OF_A_MODEL]
        if taken:
            raise ValueError(f"parameter {taken[0]}: the name stands for something else already")
        self._check_kind()
        self._check_placeholders()
        if self.agreement is not None:
            metric = self.agreement.metric
            entries = self.metrics.by_version if self.metrics else ()
            if not entries or any(metric not in entry.names for entry in entries):
                raise ValueError(f"agreement.metric: {metric} is not among the metrics' names")
        return self

    @property
    def external(self) -> bool:
        """Whether the service is there already, and neither started nor ended here."""
        return not self.command

    @property
    def only_once(self) -> str | None:
        """Say why it can't have copies; None when it can."""
        if self.external:
            return "it is there already and not started here: give its url a balancer of its own"
        if self.prepare is not None:
            return "what is put into it before the load would be in one copy only"
        return None

    def _check_kind(self) -> None:
        if self.external and (self.url == _HERE or self.models.maximum or self.metrics):
            raise ValueError(
                "command: is missing. Only a service that is there already, with a url of its own "
                "and without models and metrics, needs none"
            )
        if not self.external and self.version is None:
            raise ValueError("version: is missing. Expected: a distribution, a tool or a command")

    def _check_placeholders(self) -> None:
        models = OF_A_MODEL if self.models.minimum == self.models.maximum == 1 else ()
        always = {name for name, entry in self.parameters.items() if entry.always_set}
        settable = always | set(self.parameters)
        always |= {*BUILT_IN, *models, *self.needs.tools}
        self._check_template(self.url, always - {"port", "host"} if self.external else always)
        for value in self.workload.parameters.values():
            if isinstance(value, str):
                self._check_template(value, {*settable, *OF_THE_CELL, *OF_A_MODEL})
        if self.bounds is not None:
            for template in (
                *self.bounds.templates(),
                *map("{{{}}}".format, self.bounds.parameters()),
            ):
                self._check_template(template, settable)
        for argument in self.command:
            if argument.when is not None and argument.when not in self.parameters:
                raise ValueError(f"when: no parameter {argument.when!r}. {self._names()}")
            known = always | ({argument.when} if argument.when else set())
            known |= set(OF_A_MODEL) if argument.for_each else set()
            for word in argument.words:
                self._check_template(word, known)
        variables = [*self.environment.values()]
        if self.container is not None:
            self._check_container(self.container, always)
            variables += self.container.environment.values()
        for template in variables:
            self._check_template(template, always | set(self.parameters))

    def _check_container(self, container: Container, always: set[str]) -> None:
        words = [word for argument in self.command for word in argument.words]
        if any("python" in placeholders(word) for word in words):
            raise ValueError("command: {python} is the host's; write the program of the image")
        for template in (container.image, *container.binds, *container.arguments):
            self._check_template(template, always)

    def _check_template(self, template: str, known: set[str]) -> None:
        for name in placeholders(template):
            if name in known:
                continue
            if name in self.parameters:
                raise ValueError(
                    f"{template!r}: {name} may have no value; write {{when: {name}, words: […]}}"
                )
            raise ValueError(f"{template!r}: nothing is called {name!r}. {nearest(name, known)}")

    def _names(self) -> str:
        return f"Parameters: {', '.join(self.parameters) or 'none'}."

    def check_parameters(self, parameters: Mapping[str, Any], where: str) -> None:
        """Refuse parameters that the recipe does not take; `where` begins the message.

        Raises
        ------
        InputError
            With the valid names and their defaults, or the value that was expected.
        """
        check_given(self.parameters, parameters, f"{where}: recipe {self.name}")
        if self.external and urlsplit(self.address(parameters)).password is not None:
            raise InputError(
                f"{where}: recipe {self.name}: the address holds a password, which would be stored "
                "with the results. Leave it out, and set it in the environment as the recipe says."
            )

    def settled(self, parameters: Mapping[str, Value], service_cpus: int) -> dict[str, Value]:
        """Give every parameter that has a value, from `parameters` or by default."""
        return settle(self.parameters, parameters, service_cpus)

    def make_command(
        self,
        parameters: Mapping[str, Value],
        *,
        port: int,
        models: Sequence[ServedModel] = (),
        service_cpus: int = 1,
        host: str = "127.0.0.1",
        gpus: int = 0,
        binds: Sequence[str] = (),
        scratch: str = "",
        secret_file: str = "",
    ) -> Command:
        """Make the command line and the environment.

        Parameters
        ----------
        parameters
            Those that the deployment sets, checked before.
        port, host
            Where to listen.
        models
            As many as the recipe takes.
        service_cpus
            Number of CPUs that the service may use.
        gpus
            Number of GPUs that are asked for; a container sees them then.
        binds
            Folders of the site that a container sees.
        scratch, secret_file
            Folder and file of this start, where the recipe uses them.

        Raises
        ------
        InputError
            When the container's image can't be found by what is written.
        """
        values: dict[str, Value] = {
            **self.settled(parameters, service_cpus),
            "python": sys.executable,
            "host": host,
            "port": port,
            "service_cpus": service_cpus,
            "scratch": scratch,
            "secret_file": secret_file,
            **self.needs.paths(),
        }
        each = [{"model_path": str(model.path), "model_name": model.name} for model in models]
        if len(each) == 1:
            values |= each[0]
        environment = {
            name: fill(template, values)
            for name, template in self.environment.items()
            if all(used in values for used in placeholders(template))
        }
        argv = fill_command(self.command, values, each)
        if self.container is None:
            return Command(argv, environment)
        folders = [f"{folder}:{folder}:ro" for folder in (model.path.parent for model in models)]
        wrapped = contained(
            argv, environment, self.container, values, gpus=gpus, binds=[*folders, *binds]
        )
        return Command(*wrapped, image=image_of(self.container, values))

    def uses(self, name: str) -> bool:
        """Tell whether the command or the workload has a placeholder of that name."""
        words = [word for argument in self.command for word in argument.words]
        words += [value for value in self.workload.parameters.values() if isinstance(value, str)]
        return any(name in placeholders(word) for word in words)

    def address(self, parameters: Mapping[str, Value], host: str = "", port: int = 0) -> str:
        """Give the URL of the service."""
        return fill(self.url, {**self.settled(parameters, 1), "host": host, "port": port})

    def workload_parameters(
        self,
        models: Sequence[ServedModel],
        parameters: Mapping[str, Value] | None = None,
        of_the_cell: Mapping[str, Value] | None = None,
    ) -> dict[str, Any]:
        """Give the recipe's parameters for the load workload, all that is known put in.

        Parameters
        ----------
        models
            What it serves.
        parameters
            Of the recipe, settled.
        of_the_cell
            Values of `OF_THE_CELL`.
        """
        name, path = (models[0].name, str(models[0].path)) if models else ("", "")
        known: dict[str, Value] = {"model_name": name, "model_path": path}
        return fill_values(
            self.workload.parameters, {**known, **(parameters or {}), **(of_the_cell or {})}
        )

    def check_needs(self, *, elsewhere: bool = False) -> None:
        """Insist on what the recipe needs.

        Parameters
        ----------
        elsewhere
            The service runs on another node, where other programs may be on PATH:
            only what this environment itself has to have is looked for.

        Raises
        ------
        ToolMissingError
            Naming what is missing and how to install it.
        """
        self.needs.check(self.name, elsewhere=elsewhere)
        if self.container is not None and not elsewhere:
            require_program()

    def installed_version(self) -> str | None:
        """Give the version of the service as installed here; None when it can't be had."""
        return None if self.version is None else self.version.installed()

    def metric_names(self, version: str | None) -> dict[str, str]:
        """Give the service's own name of every canonical metric that it offers.

        Parameters
        ----------
        version
            Of the service; when unknown, the first names of the recipe are given.

        Raises
        ------
        InputError
            When the recipe has no names for that version.
        """
        return {} if self.metrics is None else self.metrics.names_of(self.name, version)

    def defining(self) -> dict[str, Any]:
        """Give what defines a measurement with this recipe: what runs, and how it is spoken to.

        How it is described, installed, awaited and scraped is left out: a new name
        for a metric must not cost the measurements that are there.
        """
        content = self.model_dump(mode="json", exclude=_NOT_DEFINING)
        for parameter in content["parameters"].values():
            del parameter["description"]
        usual = {"container": None, "prepare": None, "url": _HERE}
        for name, value in usual.items():
            if content[name] == value:
                del content[name]  # cells of recipes without it keep their definition
        return content


def load_recipe(name: str, folder: Path) -> Recipe:
    """Load `<name>.yaml` of a folder.

    Raises
    ------
    InputError
        For an unknown name, with the known ones; for a recipe that is not right,
        with everything that is wrong in it.
    """
    path = folder / f"{name}.yaml"
    known = sorted(entry.stem for entry in folder.glob("*.yaml"))
    if name not in known:
        raise InputError(f"There is no recipe {name!r} in {folder}. {nearest(name, known)}")
    return validated(Recipe, {**read_yaml(path, "recipe"), "name": name}, str(path))
