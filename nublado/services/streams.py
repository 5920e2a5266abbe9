"""Event streams: one thread writes all of them.

A request thread hands its socket over once the head of the response is known.
From then on a stream costs a socket and a few hundred bytes, and no thread.
"""

from __future__ import annotations

import itertools
import selectors
import socket
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import structlog

__all__ = ["HEARTBEAT", "Source", "Stream", "StreamWriter"]


_HEARTBEAT_SECONDS = 15.0
_STALLED_SECONDS = 30.0
_LINGER_SECONDS = 2.0
_STOP_SECONDS = 3.0
_SHORTEST_PAUSE = 0.05
_PER_OWNER = 16
_RESERVED_SHARE = 0.01
_DISCARDED_BYTES = 4096
_MOST_OWED_BYTES = 64 * 1024 * 1024

HEARTBEAT = b": still here\n"
"""Keeps proxies from closing an idle stream.

No blank line follows: some clients take any blank line for the end of an event.
"""


class Source(Protocol):
    """Where the bytes of a stream come from."""

    def attach(self, wake: Callable[[], None]) -> None:
        """Begin: call ``wake``, from any thread, whenever there may be more."""

    def pull(self) -> tuple[bytes, bool]:
        """Take what is new, and whether the stream ends with it; never blocks."""

    def detach(self) -> None:
        """Call ``wake`` no more."""


class Stream:
    """One stream that may be opened: its source, and its place among others.

    Parameters
    ----------
    source
        Where its bytes come from.
    owner
        Whose stream it is; None for operators.
    """

    def __init__(self, source: Source, owner: str | None) -> None:
        self.source = source
        self.owner = owner


class _Connection:
    """A socket that is written to, or that waits for its client to close.

    ``touched`` is when it last got anything, or its present state.
    """

    __slots__ = (
        "buffer",
        "chunked",
        "over",
        "owed",
        "sock",
        "stream",
        "touched",
        "woken",
    )

    def __init__(self, sock: socket.socket, stream: Stream | None) -> None:
        self.sock = sock
        self.stream = stream
        self.buffer = bytearray()
        self.chunked = False
        self.over = False
        self.owed = 0
        self.woken = False
        self.touched = time.monotonic()


_Connections = OrderedDict[_Connection, None]


class StreamWriter:
    """Writes all streams, and closes connections without anybody waiting.

    Parameters
    ----------
    limit
        How many streams there may be. A small share of them is kept for
        operators.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._for_users = limit - max(1, int(limit * _RESERVED_SHARE))
        self._lock = threading.Lock()
        self._owners: Counter[str | None] = Counter()
        self._open = 0
        self._owed = 0
        self._given: deque[tuple[_Connection, bytes]] = deque()
        self._woken: deque[_Connection] = deque()
        # By what they wait for, those that have waited longest first.
        self._idle = _Connections()
        self._blocked = _Connections()
        self._lingering = _Connections()
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._poked = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)
        self._log = structlog.get_logger(__name__)

    @property
    def open(self) -> int:
        """How many streams are open."""
        return self._open

    @property
    def dead(self) -> bool:
        """Whether the thread that writes has ended although it should run."""
        started = self._thread.ident is not None
        return started and not self._stopping and not self._thread.is_alive()

    # --- Called by any thread --------------------------------------------

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left of streams that have ended, and close all."""
        self._stopping = True
        self._poke()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS + 1.0)

    def admit(self, owner: str | None) -> bool:
        """Take a place for one more stream, if there may be more.

        Parameters
        ----------
        owner
            Whose stream it is; None for operators.
        """
        limit = self.limit if owner is None else self._for_users
        with self._lock:
            if self._open >= limit:
                return False
            if owner is not None and self._owners[owner] >= _PER_OWNER:
                return False
            self._open += 1
            self._owners[owner] += 1
            return True

    def release(self, owner: str | None) -> None:
        """Give the place of a stream back."""
        with self._lock:
            self._open -= 1
            self._owners[owner] -= 1
            if not self._owners[owner]:
                del self._owners[owner]

    def write(
        self, sock: socket.socket, head: bytes, stream: Stream, *, chunked: bool
    ) -> None:
        """Take over a socket and write a stream to it, to its end.

        Parameters
        ----------
        sock
            Connection to the client; closed at the end.
        head
            Status line and headers, with the empty line.
        stream
            What is written; has been admitted.
        chunked
            Whether the body is sent in chunks (HTTP/1.1), so that clients can
            tell its end from a broken connection.
        """
        connection = _Connection(sock, stream)
        connection.chunked = chunked
        self._give(connection, head)

    def finish(self, sock: socket.socket, rest: bytearray) -> None:
        """Send the rest of a response to a client that takes it slowly, and close.

        Parameters
        ----------
        sock
            Connection to the client.
        rest
            What is to be sent within 30 s; where all rests together are too
            large, the connection is closed at once.
        """
        with self._lock:
            is_too_much = self._owed + len(rest) > _MOST_OWED_BYTES
            self._owed += 0 if is_too_much else len(rest)
        if is_too_much:
            sock.close()
            return
        connection = _Connection(sock, None)
        connection.over = True
        connection.owed = len(rest)
        self._give(connection, bytes(rest))

    def close(self, sock: socket.socket) -> None:
        """Close a connection so that its client gets all that was sent.

        References
        ----------
        https://www.rfc-editor.org/rfc/rfc9112#section-9.6
        """
        self._give(_Connection(sock, None), b"")

    def _give(self, connection: _Connection, head: bytes) -> None:
        self._given.append((connection, head))
        self._poke()

    def _wake(self, connection: _Connection) -> None:
        if not connection.woken:
            connection.woken = True
            self._woken.append(connection)
            self._poke()

    def _poke(self) -> None:
        if not self._poked:
            self._poked = True
            # Where it is full or closed, the thread is awake, or has ended.
            with suppress(OSError):
                self._wake_writer.send(b"\0")

    # --- Called by the thread that writes --------------------------------

    def _run(self) -> None:
        stop_by: float | None = None
        while True:
            if self._stopping and stop_by is None:
                stop_by = time.monotonic() + _STOP_SECONDS
            if stop_by is not None and self._is_done(stop_by):
                break
            for key, mask in self._selector.select(self._pause()):
                if key.data is None:
                    self._wake_reader.recv(_DISCARDED_BYTES)
                else:
                    self._guarded(self._ready, key.data, mask)
            self._poked = False
            while self._given:
                connection, head = self._given.popleft()
                self._guarded(self._begin, connection, head)
            while self._woken:
                connection = self._woken.popleft()
                connection.woken = False
                self._guarded(self._advance, connection)
            self._attend(time.monotonic())
        for connection in [*self._idle, *self._blocked, *self._lingering]:
            self._drop(connection)
        self._selector.close()

    def _is_done(self, stop_by: float) -> bool:
        busy = self._idle or self._blocked or self._lingering or self._given
        return not busy or time.monotonic() > stop_by

    def _guarded(
        self, step: Callable[..., None], connection: _Connection, *arguments: object
    ) -> None:
        """Run a step of one connection, whose failure concerns no other."""
        if connection.sock.fileno() < 0:
            return
        try:
            step(connection, *arguments)
        except (OSError, ValueError):
            self._drop(connection)
        except Exception:  # noqa: BLE001
            self._log.exception("Event stream failed")
            self._drop(connection)

    def _begin(self, connection: _Connection, head: bytes) -> None:
        connection.sock.setblocking(False)
        self._selector.register(connection.sock, selectors.EVENT_READ, connection)
        self._idle[connection] = None
        connection.buffer += head
        if connection.stream is None:
            connection.over = True
            self._flush(connection)
            return
        connection.stream.source.attach(lambda: self._wake(connection))
        self._advance(connection)

    def _advance(self, connection: _Connection) -> None:
        """Send what is new; a client that does not read gets it later."""
        if connection.stream is None or connection not in self._idle:
            return
        data, connection.over = connection.stream.source.pull()
        self._put(connection, data)
        if connection.over and connection.chunked:
            connection.buffer += b"0\r\n\r\n"
        self._flush(connection)

    @staticmethod
    def _put(connection: _Connection, data: bytes) -> None:
        if data and connection.chunked:
            connection.buffer += b"%x\r\n%b\r\n" % (len(data), data)
        else:
            connection.buffer += data

    def _flush(self, connection: _Connection) -> None:
        """Send what is in the buffer, as far as the socket takes it."""
        while connection.buffer:
            try:
                sent = connection.sock.send(connection.buffer)
            except BlockingIOError:
                self._block(connection)
                return
            del connection.buffer[:sent]
            if connection.stream is not None:
                connection.touched = time.monotonic()
            self._idle.move_to_end(connection)
        if connection.over:
            self._linger(connection)

    def _block(self, connection: _Connection) -> None:
        mask = selectors.EVENT_READ | selectors.EVENT_WRITE
        self._selector.modify(connection.sock, mask, connection)
        del self._idle[connection]
        self._blocked[connection] = None

    def _unblock(self, connection: _Connection) -> None:
        self._selector.modify(connection.sock, selectors.EVENT_READ, connection)
        del self._blocked[connection]
        self._idle[connection] = None
        self._flush(connection)
        if not connection.over:
            self._advance(connection)

    def _ready(self, connection: _Connection, mask: int) -> None:
        if mask & selectors.EVENT_READ and not connection.sock.recv(_DISCARDED_BYTES):
            if connection.stream is None and connection.buffer:
                # It has no more to ask for, but still reads.
                mask = selectors.EVENT_WRITE
                self._selector.modify(connection.sock, mask, connection)
            else:
                self._drop(connection)
        elif mask & selectors.EVENT_WRITE:
            self._unblock(connection)

    def _linger(self, connection: _Connection) -> None:
        """Say that no more comes, and wait for the client to close."""
        self._end_stream(connection)
        connection.touched = time.monotonic()
        self._lingering[connection] = None
        connection.sock.shutdown(socket.SHUT_WR)

    def _attend(self, now: float) -> None:
        """Send heartbeats, and end what has stalled or lingered too long."""
        for connection in _waiting(self._idle, now - _HEARTBEAT_SECONDS):
            self._put(connection, HEARTBEAT)
            self._guarded(self._flush, connection)
        for connection in _waiting(self._blocked, now - _STALLED_SECONDS):
            self._drop(connection)
        for connection in _waiting(self._lingering, now - _LINGER_SECONDS):
            self._drop(connection)

    def _pause(self) -> float:
        """Seconds until something is due without any event."""
        if self._stopping:
            return _SHORTEST_PAUSE
        now = time.monotonic()
        due = [
            next(iter(connections)).touched + seconds
            for connections, seconds in (
                (self._idle, _HEARTBEAT_SECONDS),
                (self._blocked, _STALLED_SECONDS),
                (self._lingering, _LINGER_SECONDS),
            )
            if connections
        ]
        return max(_SHORTEST_PAUSE, min(due, default=now + _HEARTBEAT_SECONDS) - now)

    def _end_stream(self, connection: _Connection) -> None:
        """Give the place of a stream back, if this is one that was open."""
        opened = [s for s in (self._idle, self._blocked) if connection in s]
        for state in opened:
            del state[connection]
        with self._lock:
            self._owed -= connection.owed
            connection.owed = 0
        if opened and connection.stream is not None:
            connection.stream.source.detach()
            self.release(connection.stream.owner)

    def _drop(self, connection: _Connection) -> None:
        """Close a connection at once."""
        self._end_stream(connection)
        self._lingering.pop(connection, None)
        with suppress(KeyError, ValueError):
            self._selector.unregister(connection.sock)
        connection.sock.close()


def _waiting(connections: _Connections, since: float) -> list[_Connection]:
    """Those that have waited since then, or longer."""
    return list(itertools.takewhile(lambda c: c.touched <= since, connections))
