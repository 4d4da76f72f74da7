"""HTTP to one server: whole answers, bounded in time and size, few retries."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import requests

from escalade.errors import InputError
from escalade.monitoring.faults import QueryTimeoutError, TooLargeError, UnreachableError

_BYTES_PER_ANSWER = 256 * 1024 * 1024
_PIECE_BYTES = 1 << 16


class Transport:
    """Sends requests to one base URL.

    Parameters
    ----------
    url
        Base URL. Proxies of the environment are not used: what is asked here is on
        this machine or on a node beside it.
    retries
        How often a request is repeated whose connection failed.

    Raises
    ------
    InputError
        When `url` is no http(s) URL.
    """

    def __init__(self, url: str, retries: int) -> None:
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
            raise InputError(f"{url!r} is no URL of a Prometheus, as in http://127.0.0.1:9090.")
        self.url = url.rstrip("/")
        self._retries = retries
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Accept-Encoding"] = "identity"  # zipping costs the node CPU

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def request(
        self, method: str, path: str, form: dict[str, str] | None, timeout: float
    ) -> tuple[int, bytes]:
        """Send a request, again if its connection fails, and give status and body.

        Raises
        ------
        UnreachableError
            When the last try failed too.
        QueryTimeoutError
            When no whole answer came in time.
        TooLargeError
            When the answer passes 256 MiB.
        """
        for attempt in range(self._retries):
            try:
                return self.request_once(method, path, form, timeout)
            except UnreachableError:
                time.sleep(0.1 * 2**attempt)
        return self.request_once(method, path, form, timeout)

    def request_once(
        self, method: str, path: str, form: dict[str, str] | None, timeout: float
    ) -> tuple[int, bytes]:
        """Do the same without a second try; `timeout` is for the whole answer."""
        deadline = time.monotonic() + timeout
        try:
            with self._session.request(
                method,
                self.url + path,
                data=form,
                timeout=(min(3.0, timeout), timeout),
                stream=True,
                allow_redirects=False,
            ) as response:
                return response.status_code, self._body(response, deadline)
        except requests.RequestException as error:
            # A body that stalls is a ConnectionError to requests, hence the clock.
            if isinstance(error, requests.ReadTimeout) or time.monotonic() >= deadline:
                raise QueryTimeoutError(
                    f"{self.url}{path} did not answer within {timeout:g} s. "
                    "Ask for a shorter time or fewer series, or allow more time."
                ) from error
            raise UnreachableError(
                f"Nothing answers at {self.url}: {_root_cause(error)}. "
                "The Prometheus there may have ended: see its log."
            ) from error

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        pieces, size = [], 0
        for piece in response.iter_content(_PIECE_BYTES):
            pieces.append(piece)
            size += len(piece)
            if size > _BYTES_PER_ANSWER:
                raise TooLargeError(
                    f"{self.url}: the answer is larger than {_BYTES_PER_ANSWER >> 20} MiB. "
                    "Ask for a shorter time or fewer series."
                )
            if time.monotonic() > deadline:
                raise requests.ReadTimeout("the answer comes too slowly")
        return b"".join(pieces)


def _root_cause(error: BaseException) -> str:
    """Give the operating system's words, which requests wraps several times."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        inner = next((part for part in seen.args if isinstance(part, BaseException)), None)
        seen = getattr(seen, "reason", None) or seen.__cause__ or seen.__context__ or inner
    return str(error)
