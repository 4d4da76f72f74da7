"""Services in an Apptainer image: the command around the service's own.

What is decided here, and why:

`--cleanenv`
    The service's environment is that of its image and recipe. The host's would leak in
    otherwise: PYTHONPATH and LD_LIBRARY_PATH of loaded modules change what runs.
`APPTAINERENV_…` instead of `--env`
    `--env` takes a comma for the beginning of another variable, and a list of GPUs has
    commas. These variables pass `--cleanenv`.
`--no-mount home,cwd` instead of `--no-home`
    A home directory brings packages and settings of one person. `--no-home` mounts it
    all the same when it is the working directory.
no `--contain`, no `--containall`
    They put a small tmpfs (64 MiB by default) over /tmp and /dev/shm, in which
    frameworks keep buffers of gigabytes, and namespaces of their own for processes, which
    the exporter of the service's processes and the launcher's signals would have to cross.
`--nv` with `CUDA_VISIBLE_DEVICES`
    `--nv` shows every GPU of the node, and `--cleanenv` drops Slurm's choice among them.
    It is known on the node only, so a shell hands it on there, and becomes Apptainer.

Sources: the user documentation of Apptainer (environment, bind paths, GPU support);
issue 2203 of apptainer/apptainer. None of it was run: tests check what is rendered.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from escalade.errors import InputError, ToolMissingError
from escalade.services.templates import fill, placeholders
from escalade.services.validation import Section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.services.parameters import Value

PROGRAM = "apptainer"
_PREFIX = "APPTAINERENV_"
_HAND_ON_GPUS = (
    '[ -z "${CUDA_VISIBLE_DEVICES+x}" ] || '
    f'export {_PREFIX}CUDA_VISIBLE_DEVICES="$CUDA_VISIBLE_DEVICES"; exec "$@"'
)
_Word = Annotated[str, Field(min_length=1, pattern=r"^[^\r\n\x00]+$")]


class Container(Section):
    """The image that a service runs in; texts may hold placeholders as the command does."""

    image: _Word
    """Path of a SIF file or sandbox, or a reference such as docker://vllm/vllm-openai:v0.8.4."""
    binds: tuple[_Word, ...] = ()
    """Folders of the host that it sees, as source[:destination[:options]]; the models' folders are added."""
    environment: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = Field(
        default_factory=dict
    )
    """Variables inside, over those of the recipe and the image."""
    arguments: tuple[_Word, ...] = ()
    """Further arguments of `apptainer exec`."""
    gpu: bool | None = None
    """Show the node's GPUs inside (--nv); when GPUs are asked for by default."""


def contained(
    argv: Sequence[str],
    environment: Mapping[str, str],
    container: Container,
    values: Mapping[str, Value],
    *,
    gpus: int,
    binds: Sequence[str],
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Wrap a command so that it runs in an image.

    Parameters
    ----------
    argv, environment
        Of the service inside.
    container
        The image and its surroundings.
    values
        Of the placeholders; variables without a value are left out.
    gpus
        Number of GPUs that are asked for.
    binds
        Further folders that are seen inside: the site's, the models'.

    Returns
    -------
    argv, environment
        To be executed on the host; the first process becomes Apptainer's.

    Raises
    ------
    InputError
        When the image is a relative path: a step has a working folder of its own.
    """
    inside = {**environment, **_filled(container.environment, values)}
    outside = {f"{_PREFIX}{name}": value for name, value in inside.items()}
    nv = gpus > 0 if container.gpu is None else container.gpu
    bound = dict.fromkeys([*(fill(bind, values) for bind in container.binds), *binds])
    words = [PROGRAM, "exec", "--cleanenv", "--no-mount", "home,cwd"]
    words += ["--nv"] * nv
    words += [word for bind in bound for word in ("--bind", bind)]
    words += [fill(word, values) for word in container.arguments]
    words += [image_of(container, values), *argv]
    return (*(("sh", "-c", _HAND_ON_GPUS, "sh") if nv else ()), *words), outside


def in_login_shell(setup: Sequence[str], argv: Sequence[str]) -> tuple[str, ...]:
    """Run the shell lines of a site before a command, as where Apptainer is a module.

    Without lines the command is given back as it is. A line that fails ends it.
    """
    if not setup:
        return tuple(argv)
    script = "\n".join(["trap 'exit 1' ERR", *setup, "trap - ERR", 'exec "$@"'])
    return ("bash", "-l", "-c", script, "bash", *argv)


def require_program() -> None:
    """Insist on Apptainer on PATH.

    Raises
    ------
    ToolMissingError
        When there is none.
    """
    if shutil.which(PROGRAM) is None:
        raise ToolMissingError(
            f"The recipe runs in a container, and there is no {PROGRAM} on PATH. Load its module "
            "(apptainer_module of the site file), or install it, then start again."
        )


def _filled(templates: Mapping[str, str], values: Mapping[str, Value]) -> dict[str, str]:
    return {
        name: fill(template, values)
        for name, template in templates.items()
        if all(used in values for used in placeholders(template))
    }


def image_of(container: Container, values: Mapping[str, Value]) -> str:
    """Give the image as Apptainer is given it: a whole path, or a reference.

    Raises
    ------
    InputError
        When it is a relative path.
    """
    image = fill(container.image, values)
    if "://" in image:
        return image
    path = Path(image).expanduser()
    if not path.is_absolute():
        raise InputError(
            f"The container image {image!r} is a relative path. Write the whole path, or a "
            "reference such as docker://vllm/vllm-openai:v0.8.4."
        )
    return str(path)
