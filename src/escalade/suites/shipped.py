"""The component benchmarks that are shipped: what each measures, and how it is called."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROGRAMS = Path(__file__).parent / "programs"
_SECONDS = ("seconds", "s", "lower")
_RATE = ("bytes_per_second", "bytes/s", "higher")


@dataclass(frozen=True)
class Parameter:
    """One option of a shipped component."""

    default: str | int
    what: str
    choices: tuple[str, ...] = ()

    def accepts(self, value: object) -> bool:
        """Say whether a value can be meant."""
        if self.choices:
            return value in self.choices
        if isinstance(self.default, int):
            return isinstance(value, int) and not isinstance(value, bool) and value > 0
        return isinstance(value, str)

    @property
    def expected(self) -> str:
        """What a value has to be, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return "a whole number above 0" if isinstance(self.default, int) else "text"


@dataclass(frozen=True)
class Shipped:
    """A shipped component.

    Attributes
    ----------
    what
        One sentence.
    program
        Module of `escalade.suites.programs`.
    metric, unit, better
        What one iteration gives.
    fixed
        Options that make this component of the program.
    parameters
        Options that a user may set.
    """

    what: str
    program: str
    measured: tuple[str, str, str] = _SECONDS
    fixed: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    @property
    def metric(self) -> str:
        """Name of the number."""
        return self.measured[0]

    @property
    def unit(self) -> str:
        """Unit of the number."""
        return self.measured[1]

    @property
    def better(self) -> str:
        """Which way is better."""
        return self.measured[2]

    @property
    def source(self) -> Path:
        """The program's file."""
        return _PROGRAMS / f"{self.program}.py"

    def filled(self, parameters: Mapping[str, object]) -> dict[str, object]:
        """Give all parameters, with defaults where none is set."""
        usual = {name: parameter.default for name, parameter in self.parameters.items()}
        return {**usual, **parameters}

    def command(
        self, python: str, parameters: Mapping[str, object], *, warms_up: bool
    ) -> tuple[str, ...]:
        """Give its command, with placeholders for what the standards say.

        Where it does not warm up itself, it prints until it is ended: the first of its
        iterations are then the warm-up.
        """
        settings = {**self.fixed, **self.filled(parameters)}
        words = [
            word
            for name, value in settings.items()
            if value != ""
            for word in (f"--{name.replace('_', '-')}", str(value))
        ]
        limits = ("--iterations", "{iterations}", "--least-seconds", "{least_seconds}")
        until = (*limits, "--warmup-seconds", "{warmup_seconds}") if warms_up else ()
        return (python, "-m", f"escalade.suites.programs.{self.program}", *words, *until)


_COPIED = Parameter(64 * 2**20, "bytes of one copy")
_MESSAGE = Parameter(64, "bytes of one message")
_VECTORS = {
    "vectors": Parameter(10_000, "vectors in the collection, drawn from the seed 1"),
    "dimensions": Parameter(128, "dimensions of each"),
    "k": Parameter(10, "neighbours that a query asks for"),
    "distance": Parameter("l2", "what makes a vector near", ("l2", "cosine", "inner_product")),
}

SHIPPED: dict[str, Shipped] = {
    "process_spawn": Shipped(
        "Start a process (`true`) and wait until it has ended: posix_spawn to waitpid.",
        "process_spawn",
    ),
    "container_spawn": Shipped(
        "Start a container that runs `true`, and wait until it has ended: Apptainer, "
        "Singularity, Podman or Docker, the first that is there.",
        "container_spawn",
        parameters={
            "engine": Parameter(
                "any",
                "which engine",
                ("any", "apptainer", "singularity", "podman", "docker"),
            ),
            "image": Parameter(
                "", "image that has `true`; one of the host's own `true` by default"
            ),
        },
    ),
    "memory_copy_host": Shipped(
        "Copy a block of memory to another place in the host's memory.",
        "memory_copy",
        _RATE,
        {"route": "host"},
        {"bytes": _COPIED},
    ),
    "memory_copy_to_gpu": Shipped(
        "Copy a block from the host's pinned memory to a GPU.",
        "memory_copy",
        _RATE,
        {"route": "to_gpu"},
        {"bytes": _COPIED},
    ),
    "memory_copy_from_gpu": Shipped(
        "Copy a block from a GPU to the host's pinned memory.",
        "memory_copy",
        _RATE,
        {"route": "from_gpu"},
        {"bytes": _COPIED},
    ),
    "memory_copy_on_gpu": Shipped(
        "Copy a block from one place of a GPU's memory to another.",
        "memory_copy",
        _RATE,
        {"route": "on_gpu"},
        {"bytes": _COPIED},
    ),
    "vector_query": Shipped(
        "Find the nearest of a collection of vectors exactly, with numpy.",
        "vector_query",
        parameters=_VECTORS,
    ),
    "vector_query_pgvector": Shipped(
        "The same query, asked of a PostgreSQL with pgvector of its own over loopback.",
        "vector_query_pgvector",
        parameters={
            **_VECTORS,
            "index": Parameter("hnsw", "index on the vectors", ("none", "hnsw", "ivfflat")),
        },
    ),
    "pipe_round_trip": Shipped(
        "Send a message to another process through a pipe, and wait for it to come back.",
        "message_round_trip",
        fixed={"through": "pipe"},
        parameters={"bytes": _MESSAGE},
    ),
    "tcp_round_trip": Shipped(
        "Send a message to another process over TCP on loopback, and wait for it to come back.",
        "message_round_trip",
        fixed={"through": "tcp"},
        parameters={"bytes": _MESSAGE},
    ),
}
