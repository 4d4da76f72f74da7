"""One Prometheus as a process: whether it is ready, what it runs with, reload, snapshot, end."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import requests

from escalade.monitoring.answers import decode
from escalade.monitoring.faults import (
    BadQueryError,
    MalformedAnswerError,
    PrometheusError,
    QueryTimeoutError,
    UnreachableError,
)
from escalade.monitoring.transport import Transport

if TYPE_CHECKING:
    from typing import Self

_ADMIN_SECONDS = 120.0  # a snapshot writes the whole head block


class PrometheusServer(AbstractContextManager["PrometheusServer"]):
    """Speaks to one Prometheus about itself; `PrometheusClient` asks it for data too.

    Parameters
    ----------
    url
        Base URL, as in `http://127.0.0.1:9090`.
    timeout
        Seconds for one whole answer; Prometheus is told the same limit.
    retries
        How often a request is repeated whose connection failed.

    Raises
    ------
    InputError
        When `url` is no http(s) URL.

    Notes
    -----
    Every method that asks may raise `UnreachableError`, `QueryTimeoutError`,
    `MalformedAnswerError` or `PrometheusError`.
    """

    def __init__(self, url: str, timeout: float = 30.0, retries: int = 3) -> None:
        self._transport = Transport(url, retries)
        self.url = self._transport.url
        self.timeout = timeout

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def ready(self) -> bool:
        """Tell whether Prometheus answers and has loaded its data; asked once, without retries."""
        try:
            status, _ = self._transport.request_once(
                "GET", "/-/ready", None, min(2.0, self.timeout)
            )
        except (UnreachableError, QueryTimeoutError):
            return False
        return bool(status == requests.codes.ok)

    def build_info(self) -> dict[str, str]:
        """Give the version and how it was built."""
        return dict(self._data("GET", "/api/v1/status/buildinfo", "build information"))

    def flags(self) -> dict[str, str]:
        """Give the command line that Prometheus runs with, defaults included."""
        return dict(self._data("GET", "/api/v1/status/flags", "flags"))

    def loaded_configuration(self) -> str:
        """Give the configuration that is live, as YAML with all defaults filled in."""
        data = self._data("GET", "/api/v1/status/config", "live configuration")
        return str(data["yaml"])

    def snapshot(self) -> str:
        """Have a snapshot of all data written.

        Returns
        -------
        str
            Name of its folder under `snapshots` in the data folder.

        Raises
        ------
        PrometheusError
            When the disk is full, or without `--web.enable-admin-api`.
        """
        form: dict[str, str] = {}
        data = self._data("POST", "/api/v1/admin/tsdb/snapshot", "snapshot", form, _ADMIN_SECONDS)
        try:
            return str(data["name"])
        except (KeyError, TypeError) as error:
            raise MalformedAnswerError(f"{self.url}: the snapshot has no name.") from error

    def reload(self) -> None:
        """Have the configuration file read again.

        Raises
        ------
        BadQueryError
            When Prometheus refuses the file; the old configuration stays live.
        PrometheusError
            Without `--web.enable-lifecycle`.
        """
        status, body = self._transport.request("POST", "/-/reload", {}, self.timeout)
        words = body.decode("utf-8", errors="replace").strip()
        if status == requests.codes.internal_server_error:
            raise BadQueryError(f"{self.url} keeps its old configuration: {words}.")
        self._insist(status, words, "reload")

    def quit(self) -> None:
        """Ask Prometheus to end; it does so right after the answer."""
        status, body = self._transport.request_once("POST", "/-/quit", {}, self.timeout)
        self._insist(status, body.decode("utf-8", errors="replace").strip(), "quit")

    def _data(
        self,
        method: str,
        path: str,
        asked: str,
        form: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> Any:
        status, body = self._transport.request(method, path, form, timeout or self.timeout)
        return decode(status, body, f"{self.url}: {asked}")

    def _insist(self, status: int, words: str, asked: str) -> None:
        if status != requests.codes.ok:
            raise PrometheusError(f"{self.url}: {asked}: HTTP {status}: {words}")
