"""PostgreSQL with pgvector: where it is, what is in it, and how it is asked."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pg8000.native

from escalade.errors import InputError
from escalade.load.faults import RefusedError
from escalade.load.stores.secrets import read_secret
from escalade.load.stores.vectors import DISTANCES, DISTRIBUTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

OPERATORS = {"l2": "<->", "cosine": "<=>", "inner_product": "<#>"}
OPERATOR_CLASSES = {
    "l2": "vector_l2_ops",
    "cosine": "vector_cosine_ops",
    "inner_product": "vector_ip_ops",
}
_TABLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_PORT = 5432
_SHUTTING_DOWN = ("57P01", "57P02", "57P03")
_CANCELLED = "57014"
_WHOLE: dict[str, tuple[int, int, int]] = {  # default, least, most
    "vectors": (10_000, 1, 2**31 - 1),
    "dimensions": (128, 1, 2000),
    "queries": (1000, 1, 1_000_000),
    "k": (10, 1, 10_000),
    "m": (16, 2, 100),
    "ef_construction": (64, 4, 1000),
    "lists": (100, 1, 32_768),
    "ef_search": (40, 1, 1000),
    "probes": (1, 1, 32_768),
    "connections": (100, 1, 10_000),
}
_CHOICES = {
    "distribution": DISTRIBUTIONS,
    "distance": DISTANCES,
    "index": ("hnsw", "none", "ivfflat"),
}


@dataclass(frozen=True)
class VectorStore:
    """A table of vectors, as the workload's parameters describe it.

    The fields are those of the workload `pgvector`; see the head of its file.
    """

    table: str
    vectors: int
    dimensions: int
    queries: int
    distribution: str
    distance: str
    index: str
    k: int
    m: int
    ef_construction: int
    lists: int
    ef_search: int
    probes: int
    connections: int

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> VectorStore:
        """Read it from the workload's parameters.

        Raises
        ------
        InputError
            Naming the parameter, its value, and what was expected.
        """
        whole = {name: _whole(parameters, name) for name in _WHOLE}
        chosen = {name: _chosen(parameters, name) for name in _CHOICES}
        table = str(parameters.get("table", "escalade_vectors"))
        if not _TABLE.fullmatch(table):
            raise InputError(
                f"Parameter table of the workload is {table!r}; expected small letters, digits and _."
            )
        if whole["k"] > whole["vectors"]:
            raise InputError(
                f"Parameter k of the workload is {whole['k']}, and there are only "
                f"{whole['vectors']} vectors; expected at most as many."
            )
        return cls(table=table, **whole, **chosen)  # type: ignore[arg-type]

    @property
    def search(self) -> str:
        """The query: the k nearest vectors of `:vector`."""
        operator = OPERATORS[self.distance]
        return (
            f"SELECT id FROM {self.table} "  # noqa: S608 - the name was checked
            f"ORDER BY embedding {operator} CAST(:vector AS vector) LIMIT {self.k}"
        )

    @property
    def settings(self) -> list[str]:
        """What a session sets before its first query."""
        per_index = {
            "hnsw": ("hnsw.ef_search", self.ef_search),
            "ivfflat": ("ivfflat.probes", self.probes),
        }
        if self.index not in per_index:
            return []
        name, value = per_index[self.index]
        return [f"SET {name} = {value}"]

    @property
    def index_statement(self) -> str | None:
        """What builds the index; None for no index."""
        options = {
            "hnsw": f"m = {self.m}, ef_construction = {self.ef_construction}",
            "ivfflat": f"lists = {self.lists}",
        }
        if self.index not in options:
            return None
        kind = OPERATOR_CLASSES[self.distance]
        return (
            f"CREATE INDEX ON {self.table} USING {self.index} "
            f"(embedding {kind}) WITH ({options[self.index]})"
        )


def connect(url: str, parameters: Mapping[str, Any]) -> pg8000.native.Connection:
    """Open a connection.

    Parameters
    ----------
    url
        As in "postgresql://user@host:5432/database"; a password never stands in it.
    parameters
        `secret_file` names a file with the password, `tls` asks for an encrypted connection.
        Without a file the password is that of the environment variable PGPASSWORD.

    Raises
    ------
    InputError
        When the URL is not such a one.
    RefusedError
        When the server refuses, as for a wrong password.
    OSError
        When it can't be reached.
    """
    parts = _parts(url)
    try:
        return pg8000.native.Connection(
            unquote(parts.username or "postgres"),
            host=parts.hostname or "",
            port=parts.port or _PORT,
            database=unquote(parts.path.lstrip("/")) or None,
            password=_password(parameters),
            ssl_context=bool(parameters.get("tls")),
            application_name="escalade",
        )
    except (pg8000.native.DatabaseError, pg8000.native.InterfaceError) as error:
        raise known(error) from error


def known(error: Exception) -> Exception:
    """Say what an error of the driver means: refused, ended by the server, timed out, or unreachable."""
    told = error.args[0] if error.args else None
    if isinstance(told, dict):
        code, message = str(told.get("C", "")), str(told.get("M", ""))
        if code in _SHUTTING_DOWN:
            return ConnectionResetError(f"{code}: {message}")
        if code == _CANCELLED:
            return TimeoutError(f"{code}: {message}")
        return RefusedError(f"{code}: {message}")
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OSError):
        return cause
    return ConnectionResetError(f"the server ended the connection: {error}")


def close(connection: pg8000.native.Connection) -> None:
    """Close a connection, whatever state it is in."""
    with contextlib.suppress(Exception):  # the server may be gone
        connection.close()


def _parts(url: str) -> Any:
    parts = urlsplit(url)
    try:
        usable = parts.scheme in {"postgresql", "postgres"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InputError(
            f"{url!r} is no address of a PostgreSQL; expected one as in "
            "postgresql://user@host:5432/database."
        )
    if parts.password is not None:
        raise InputError(
            "The address of the PostgreSQL holds a password, which would be stored with the "
            "results. Leave it out, and set PGPASSWORD in the environment."
        )
    return parts


def _password(parameters: Mapping[str, Any]) -> str:
    if (file := parameters.get("secret_file")) is not None:
        return read_secret(file)
    return os.environ.get("PGPASSWORD", "")  # the driver breaks when it is asked and has none


def _whole(parameters: Mapping[str, Any], name: str) -> int:
    default, least, most = _WHOLE[name]
    value = parameters.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InputError(
            f"Parameter {name} of the workload is {value!r}; expected a whole number from {least} "
            f"to {most}."
        )
    return value


def _chosen(parameters: Mapping[str, Any], name: str) -> str:
    valid = _CHOICES[name]
    value = parameters.get(name, valid[0])
    if value not in valid:
        raise InputError(
            f"Parameter {name} of the workload is {value!r}; expected one of {', '.join(valid)}."
        )
    return str(value)
