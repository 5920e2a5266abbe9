"""Server-sent events: an event log as a streaming response.

References
----------
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from flask import Response, request

from nublado.events import Event, EventLog, EventType
from nublado.exceptions import ServiceUnavailableError
from nublado.services.streams import StreamSlots

__all__ = ["HEARTBEAT", "HEARTBEAT_SECONDS", "RETRY", "event_stream", "guarded_stream"]

HEARTBEAT = ": still here\n\n"
"""Keeps proxies from closing a stream, and detects clients that are gone."""

HEARTBEAT_SECONDS = 15.0
"""Longest time without sending anything (seconds)."""

RETRY = "retry: 2000\n\n"
"""Asks clients to reconnect after so many milliseconds."""

_RETRY_AFTER_SECONDS = 5
_LAST = frozenset({EventType.COMPLETE, EventType.FAILED})
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event_stream(log: EventLog, slots: StreamSlots) -> Response:
    """Create the response that streams the events of an operation.

    A client that reconnects receives only what it has missed; if that is
    nothing and the operation is over, the response is 204.

    Parameters
    ----------
    log
        Events of the operation.
    slots
        How many streams there may be: each keeps a thread for its life.

    Raises
    ------
    ServiceUnavailableError
        Raised if there are too many streams.
    """
    position = _position(log)
    if log.closed and position and position == len(log.all()) and _is_over(log):
        return Response(status=204)
    return guarded_stream(_chunks(log, position), slots)


def guarded_stream(chunks: Iterator[str], slots: StreamSlots) -> Response:
    """Create a streaming response, if there may be one more of them.

    Parameters
    ----------
    chunks
        What is sent.
    slots
        How many streams there may be.

    Raises
    ------
    ServiceUnavailableError
        Raised if there are too many streams.
    """
    if request.method == "HEAD":
        return _response(iter(()))
    if not slots.take():
        raise ServiceUnavailableError(
            "Too many event streams, try again", _RETRY_AFTER_SECONDS
        )
    return _response(_Stream(chunks, slots))


class _Stream:
    """Chunks of a response; gives its slot back when the response is closed.

    A generator would not do: closed before its first chunk, it never runs.
    """

    def __init__(self, chunks: Iterator[str], slots: StreamSlots) -> None:
        self._chunks = chunks
        self._slots = slots

    def __iter__(self) -> Iterator[str]:
        return self._chunks

    def close(self) -> None:
        """Called by the server at the end, however the response ended."""
        self._slots.give_back()


def _response(chunks: Iterator[str] | _Stream) -> Response:
    return Response(
        chunks,
        content_type="text/event-stream; charset=utf-8",
        headers=_HEADERS,
    )


def _chunks(log: EventLog, position: int) -> Iterator[str]:
    yield RETRY
    while True:
        events, closed = log.read(position, HEARTBEAT_SECONDS)
        position += len(events)
        if events:
            yield "".join(_frame(log, event) for event in events)
        if closed:
            return
        if not events:
            yield HEARTBEAT


def _frame(log: EventLog, event: Event) -> str:
    data: dict[str, str | int] = {"message": event.message}
    if event.progress is not None:
        data["progress"] = event.progress
    head = f"id: {log.id}:{event.number}\nevent: {event.type}\n"
    return f"{head}data: {json.dumps(data)}\n\n"


def _position(log: EventLog) -> int:
    """How many events of this operation the client has had."""
    operation, _, number = request.headers.get("Last-Event-ID", "").rpartition(":")
    if operation != log.id or not (number.isascii() and number.isdigit()):
        return 0
    return min(int(number[:9]), len(log.all()))


def _is_over(log: EventLog) -> bool:
    return log.last is not None and log.last.type in _LAST
