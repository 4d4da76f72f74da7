"""Calls a function on another node: `python -m escalade.runtime.slurm.remote MODULE:NAME JSON`.

The answer is one marked line of JSON on standard output, since a site may print there
as well: what the function returned, or the error it raised.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import TYPE_CHECKING, Any

from escalade import errors
from escalade.errors import EscaladeError, InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MARK = "escalade-answer:"


def command(function: Callable[..., Any], arguments: Sequence[Any]) -> tuple[str, ...]:
    """Give the command that calls a function of a module."""
    where = f"{function.__module__}:{function.__qualname__}"
    module = "escalade.runtime.slurm.remote"
    return (sys.executable, "-P", "-m", module, where, json.dumps(list(arguments)))


def answer(text: str) -> Any:
    """Read the answer out of what the command printed.

    Raises
    ------
    EscaladeError
        Of the kind that the function raised.
    InfrastructureError
        When there is no answer.
    """
    lines = [line for line in text.splitlines() if line.startswith(_MARK)]
    try:
        content = json.loads(lines[-1].removeprefix(_MARK))
        if "error" not in content:
            return content["value"]
        kind, message = str(content["error"]), str(content["message"])
    except (IndexError, ValueError, KeyError, TypeError):
        said = text.strip()[-500:]
        raise InfrastructureError(
            f"The node gave no answer; it said: {said or 'nothing'}"
        ) from None
    known = getattr(errors, kind, None)
    if isinstance(known, type) and issubclass(known, EscaladeError):
        raise known(message)
    raise InfrastructureError(f"{kind}: {message}")


def main(arguments: list[str]) -> int:
    """Call the function and print its answer."""
    module, _, name = arguments[0].partition(":")
    try:
        value = getattr(importlib.import_module(module), name)(*json.loads(arguments[1]))
        content: dict[str, Any] = {"value": value}
    except Exception as error:  # noqa: BLE001 - it is raised again where the call came from
        content = {"error": type(error).__name__, "message": str(error)}
    sys.stdout.write(f"{_MARK}{json.dumps(content)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
