"""Server-sent events: responses that are handed over to the writer of streams.

References
----------
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import json
from collections.abc import Callable

from flask import Response, request

from nublado.events import Event, EventLog
from nublado.exceptions import ServiceUnavailableError
from nublado.services.streams import HEARTBEAT, Source, Stream, StreamWriter

__all__ = [
    "HANDED_OVER",
    "RETRY",
    "STREAM_HEADERS",
    "event_stream",
    "open_stream",
    "source_of",
]

HANDED_OVER = "nublado.stream"
"""Key of the WSGI environment under which the worker finds the stream."""

RETRY = b"retry: 2000\n"
"""Tells clients after how many milliseconds to reconnect.

Stands in the block of the first event: some clients take a block of its own
for an event.
"""

_RETRY_AFTER_SECONDS = 5

STREAM_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}
"""Headers of every event stream."""


def event_stream(log: EventLog, writer: StreamWriter, username: str) -> Response:
    """Make the response that tells a client what happens in an operation.

    A client that reconnects receives only what it has missed; if that is
    nothing and the operation is over, the response is 204.

    Parameters
    ----------
    log
        Events of the operation.
    writer
        Writes the stream.
    username
        Who listens.

    Raises
    ------
    ServiceUnavailableError
        Raised if there are too many streams.
    """
    source = source_of(log, request.headers.get("Last-Event-ID", ""))
    if source is None:
        return Response(status=204)
    return open_stream(source, writer, username)


def source_of(log: EventLog, last_event_id: str) -> LogSource | None:
    """Make the source of what a client has not had yet.

    Parameters
    ----------
    log
        Events of an operation.
    last_event_id
        What the client says of the last event that it has had.

    Returns
    -------
    LogSource or None
        None if it has had all, and no more will come.
    """
    position = _position(log, last_event_id)
    if log.closed and position and position == len(log.all()) and _is_over(log):
        return None
    return LogSource(log, position)


def open_stream(source: Source, writer: StreamWriter, owner: str | None) -> Response:
    """Make the head of a stream, and leave its body to the writer.

    Parameters
    ----------
    source
        Where its bytes come from.
    writer
        Writes it.
    owner
        Whose stream it is; None for operators.

    Raises
    ------
    ServiceUnavailableError
        Raised if there are too many streams.
    """
    response = Response(headers=STREAM_HEADERS)
    if request.method == "HEAD":
        return response
    if not writer.admit(owner):
        raise ServiceUnavailableError(
            "Too many event streams, try again", _RETRY_AFTER_SECONDS
        )
    request.environ[HANDED_OVER] = Stream(source, owner)
    return response


class LogSource:
    """The events of an operation as a stream.

    Parameters
    ----------
    log
        Events of the operation.
    position
        How many of them the client has had.
    """

    def __init__(self, log: EventLog, position: int) -> None:
        self._log = log
        self._position = position
        self._prefix = RETRY
        self._is_first = True
        self._wake: Callable[[], None] | None = None

    def attach(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` for each event."""
        self._wake = wake
        self._log.listen(wake)

    def pull(self) -> tuple[bytes, bool]:
        """Take the events that are new; at first at least a comment."""
        events, closed = self._log.since(self._position)
        self._position += len(events)
        data = b"".join(_frame(self._log, event) for event in events)
        if data:
            data, self._prefix = self._prefix + data, b""
        elif self._is_first:
            data = HEARTBEAT
        self._is_first = False
        return data, closed

    def detach(self) -> None:
        """Call ``wake`` no more."""
        if self._wake is not None:
            self._log.unlisten(self._wake)


def _frame(log: EventLog, event: Event) -> bytes:
    data: dict[str, str | int] = {"message": event.message}
    if event.progress is not None:
        data["progress"] = event.progress
    head = f"id: {log.id}:{event.number}\nevent: {event.type}\n"
    return f"{head}data: {json.dumps(data)}\n\n".encode()


def _position(log: EventLog, last_event_id: str) -> int:
    """How many events of this operation the client has had."""
    operation, _, number = last_event_id.rpartition(":")
    if operation != log.id or not (number.isascii() and number.isdigit()):
        return 0
    return min(int(number[:9]), len(log.all()))


def _is_over(log: EventLog) -> bool:
    return log.last is not None and log.last.type.is_last
