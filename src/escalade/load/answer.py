"""What comes back for a request of `LeanSession`, and what locust is told of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

from locust.exception import CatchResponseError, ResponseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from escalade.load.connection import Connection

_BAD_STATUS = 400


class Answer:
    """An answer, whole or as a stream; in a `with` block the caller judges it.

    Attributes
    ----------
    url
        What was asked for.
    status_code
        0 when no answer came.
    content
        The body, unpacked; b"" of a stream.
    error
        What went wrong, None when nothing did.
    request_meta
        What locust's request event gets.
    read_at
        When the last of `pieces` came, in `clock.now()`; None before.
    ended_at
        When the last byte of the body came; None before.
    """

    def __init__(self, meta: dict[str, Any], fire: Callable[..., None]) -> None:
        self.url: str = meta["url"]
        self.status_code = 0
        self.content = b""
        self.error: Exception | None = None
        self.request_meta = meta
        self.read_at: float | None = None
        self.ended_at: float | None = None
        self.head = b""
        self.connection: Connection | None = None
        self.give_back: Callable[[Connection], None] | None = None
        self._fire = fire
        self._verdict: Exception | bool | None = None

    @property
    def ok(self) -> bool:
        """Whether an answer came and its status tells of no error."""
        return 0 < self.status_code < _BAD_STATUS

    @property
    def headers(self) -> dict[str, str]:
        """The fields of the head by their names in small letters; the last of several counts."""
        pairs = (line.partition(":") for line in self.head.decode("latin-1").split("\r\n")[1:])
        return {name.strip().lower(): value.strip() for name, _, value in pairs}

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Read the body as JSON.

        Raises
        ------
        ValueError
            When it is none.
        """
        return json.loads(self.content)

    def pieces(self, patient: Callable[[], bool] = bool) -> Iterator[bytes]:
        """Yield a stream's body piece by piece; `read_at` is when each came.

        Parameters
        ----------
        patient
            Says whether the next pieces may come some time later, together: that saves a
            load generator with many streams half of its work. Else each comes as soon
            as it is there.

        Raises
        ------
        OSError, geventhttpclient.response.HTTPParseError
            When it breaks off.
        """
        while (connection := self.connection) is not None:
            for self.read_at, piece in connection.body():
                yield piece
            if connection.is_complete:
                self.ended_at = connection.read_at
                return
            try:
                connection.gather() if patient() else connection.read_on()
            except BaseException:  # whatever ends it, a timeout or its user's end
                for self.read_at, piece in connection.body():
                    yield piece
                raise

    def success(self) -> None:
        """Have it counted as good, whatever its status."""
        self._verdict = True

    def failure(self, why: Exception | str) -> None:
        """Have it counted as failed."""
        self._verdict = why if isinstance(why, Exception) else CatchResponseError(why)

    def release(self) -> None:
        """Let go of its connection, which is closed when the body was not read to its end."""
        connection, self.connection = self.connection, None
        if connection is not None and self.give_back is not None:
            self.give_back(connection)

    def report(self) -> None:
        """Fire locust's request event."""
        self.request_meta["response"] = self
        self.request_meta["exception"] = self.error
        self._fire(**self.request_meta)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, raised: BaseException | None, _trace: object) -> bool:
        self.release()
        if self._verdict is None and raised is not None:
            if not isinstance(raised, ResponseError):
                return False
            self._verdict = raised
        if self._verdict is not None:
            self.error = self._verdict if isinstance(self._verdict, Exception) else None
        self.report()
        return True
