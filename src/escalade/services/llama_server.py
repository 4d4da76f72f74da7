"""llama.cpp's own HTTP server, from the xllamacpp wheel, in this process.

`python -m escalade.services.llama_server --model model.gguf --port 8080`

What a benchmark needs of it: `/metrics` is on; nothing is fetched and no web
page is served; no prompt cache answers for the model; and there are threads
enough for connections that waiting requests queue in llama.cpp, where its
metrics show them, and not in front of it.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

UNUSABLE_INPUT = 2
SERVER_FAILED = 3
_MAGIC = b"GGUF"
_WARNINGS = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal ends the process; give an exit code when that can't be.

    Returns
    -------
    int
        2 when an argument, the model file or the port can't be used, 3 when
        llama.cpp refuses for another reason. A line on standard error says why.
    """
    options = _parser().parse_args(argv)
    # The default actions end the process at once, also in the middle of loading.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    if reason := _unusable_model(options.model) or _unusable_port(options.host, options.port):
        return _complain(reason, UNUSABLE_INPUT)
    try:
        server = _server(options)
    except ImportError as error:
        return _complain(f"{error}; install it with: pip install xllamacpp", UNUSABLE_INPUT)
    except RuntimeError as error:
        return _complain(f"llama.cpp did not start ({error}); its own lines say why", SERVER_FAILED)
    _say(f"listening on {server.listening_address} with {options.slots} slot(s)")
    threading.Event().wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llama_server", description="llama.cpp's HTTP server.")
    add = parser.add_argument
    add("--model", type=Path, required=True, help="model file (GGUF)")
    add("--alias", default="", help="name of the model in requests; its file name by default")
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", type=_between(1, 65535), required=True, help="TCP port to listen on")
    add("--slots", type=_between(1, 256), default=4, help="requests that are worked on together")
    add("--context", type=_between(16, 1 << 20), default=512, help="tokens per slot")
    add("--threads", type=_between(1, 512), default=1, help="threads that compute")
    add("--http-threads", type=_between(8, 4096), default=256, help="connections served at once")
    add("--chat-template", default="", help="template name or text instead of the model's own")
    add("--verbosity", type=_between(0, 5), default=_WARNINGS, help="2 warnings, 3 each request")
    return parser


def _between(low: int, high: int) -> Any:
    def whole_number(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{value} is not between {low} and {high}")
        return value

    return whole_number


def _server(options: argparse.Namespace) -> Any:
    import xllamacpp  # noqa: PLC0415 - a bad argument is answered without loading 100 MB

    return xllamacpp.Server(_parameters(xllamacpp.CommonParams(), options))


def _parameters(parameters: Any, options: argparse.Namespace) -> Any:
    parameters.model.path = str(options.model)
    parameters.model_alias = {options.alias or options.model.stem}
    parameters.hostnames = [options.host]
    parameters.port = options.port
    parameters.n_parallel = options.slots
    parameters.n_ctx = options.slots * options.context
    parameters.cpuparams.n_threads = options.threads
    parameters.cpuparams_batch.n_threads = options.threads
    parameters.n_threads_http = options.http_threads
    parameters.chat_template = options.chat_template
    parameters.verbosity = options.verbosity
    parameters.endpoint_metrics = True
    parameters.offline = True
    parameters.ui = False
    parameters.cors_origins = "localhost"
    parameters.warmup = True
    parameters.fit_params = False  # the context asked for, or an error: never a smaller one
    _without_caches(parameters)
    return parameters


def _without_caches(parameters: Any) -> None:
    """Let every prompt be worked on from its first token."""
    parameters.cache_prompt = False
    parameters.cache_ram_mib = 0
    parameters.cache_idle_slots = False
    parameters.n_cache_reuse = 0
    parameters.slot_prompt_similarity = 0.0


def _unusable_model(path: Path) -> str:
    try:
        with path.open("rb") as opened:
            magic = opened.read(len(_MAGIC))
    except OSError as error:
        return f"model file {path} can't be read: {error.strerror}"
    return "" if magic == _MAGIC else f"model file {path} is no GGUF file: it begins with {magic!r}"


def _unusable_port(host: str, port: int) -> str:
    """Try the port before the model is loaded; llama.cpp says it later and at length."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with contextlib.closing(socket.socket(family, kind)) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        return f"can't listen on {host}:{port}: {error.strerror or error}"
    return ""


def _complain(reason: str, code: int) -> int:
    _say(f"error: {reason}")
    return code


def _say(line: str) -> None:
    sys.stderr.write(f"llama_server: {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    raise SystemExit(main())
