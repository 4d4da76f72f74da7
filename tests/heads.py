"""A server that takes memory of the fake GPU while it runs: `heads.py MODEL --host H --port P`.

The model's file says what it does: `{"takes_megabytes": 300, "fails": false}`. What it took it gives
back when it is ended by SIGTERM, and writes its name into `given-back` beside the model's file.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import mmap
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from fakenvml import State


class Answers(BaseHTTPRequestHandler):
    """Is healthy, and counts what it was asked."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += self.path == "/ask"
        text = f"head_requests_total {self.asked}\n" if self.path == "/metrics" else "{}"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def take(megabytes: int) -> None:
    """Have the first GPU use so much more."""
    with Path(os.environ["FAKE_NVML_STATE"]).open("r+b") as file:
        state = State.from_buffer(mmap.mmap(file.fileno(), ctypes.sizeof(State)))
        state.gpus[0].memory_used += megabytes * 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    says = json.loads(options.model.read_text())
    if says.get("fails"):
        sys.exit("the weights are torn")
    take(says["takes_megabytes"])

    def end(*_: object) -> None:
        take(-says["takes_megabytes"])
        with (options.model.parent / "given-back").open("a") as file:
            file.write(f"{options.model.stem}\n")
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    HTTPServer((options.host, options.port), Answers).serve_forever()


if __name__ == "__main__":
    main()
