"""The part of the worker that reads requests, in its main loop, without blocking.

Slow clients cost a socket, not a thread: a request goes on once it is whole.
"""

from __future__ import annotations

import errno
import os
import re
import selectors
import socket
import time
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from nublado.connection import Connection, RequestKinds
from nublado.framing import Progress
from nublado.raw_responses import send_error

__all__ = ["Reception"]

_HEAD_SECONDS = 10.0
_BODY_SECONDS = 30.0
_MOST_BUFFERED_BYTES = 64 * 1024 * 1024
_RECEIVE_BYTES = 64 * 1024
_MOST_ACCEPTED = 64
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
_EXPECT = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Reception(ThreadWorker):  # type: ignore[misc]
    """Accepts connections, and reads requests.

    Attributes
    ----------
    kinds
        Tells what requests ask for; known once the application is loaded.
    """

    kinds: RequestKinds

    def init_process(self) -> None:
        """Serve until the end; called in the process of the worker."""
        self._spare = os.open(os.devnull, os.O_RDONLY)
        self._reading: dict[Connection, float] = {}
        self._buffered = 0
        super().init_process()

    @abstractmethod
    def dispatch(self, connection: Connection) -> None:
        """Have a request answered that has been read."""

    @abstractmethod
    def close_gently(self, sock: socket.socket) -> None:
        """Close a socket so that its client gets all that was sent, without waiting."""

    def accept(self, listener: Any) -> None:
        """Accept the connections that have come, as far as there is room."""
        for _ in range(_MOST_ACCEPTED):
            if not self._accept_one(listener):
                return

    def _accept_one(self, listener: Any) -> bool:
        """Accept a connection, and begin to read its first request."""
        try:
            sock, client = listener.accept()
        except BlockingIOError:
            return False
        except OSError as e:
            if e.errno in _NO_DESCRIPTORS:
                self._refuse_one(listener)
            elif e.errno != errno.ECONNABORTED:
                self.log.exception("Cannot accept a connection")
            return False
        if self.nr_conns >= self.worker_connections - 1:
            self._shed_one()
        self.nr_conns += 1
        address, close = listener.getsockname(), self.close_gently
        connection = Connection(self.cfg, sock, client, address, close, self.kinds)
        self._read(connection)
        return True

    def on_client_socket_readable(self, conn: Connection, client: Any) -> None:
        """Read the next request of a connection that was kept."""
        del client
        self.keepalived_conns.remove(conn)
        self._read(conn)

    def murder_pending(self) -> None:
        """Close connections that take too long to send a request.

        During a stop, those that have sent nothing are not waited for.
        """
        now = time.monotonic()
        for connection, deadline in list(self._reading.items()):
            if deadline <= now or not (self.alive or connection.received):
                self._give_up(connection)

    def _read(self, connection: Connection) -> None:
        """Wait for a request, and take what has come of it already."""
        self._reading[connection] = time.monotonic() + _HEAD_SECONDS
        self._buffered += len(connection.received)
        self._poll(connection, partial(self._receive, connection))
        if connection.received:
            self._go_on(connection, Progress.HEAD)
        if connection in self._reading:
            self._receive(connection, connection.sock)

    def _poll(
        self, connection: Connection, callback: Callable[[socket.socket], None]
    ) -> None:
        """Have something called whenever there is something to read."""
        poll = self.poller.modify if connection.is_polled else self.poller.register
        poll(connection.sock, selectors.EVENT_READ, callback)
        connection.is_polled = True

    def _stop_polling(self, connection: Connection) -> None:
        if connection.is_polled:
            connection.is_polled = False
            self.poller.unregister(connection.sock)

    def _receive(self, connection: Connection, sock: socket.socket) -> None:
        before = connection.framing.progress(connection.received)
        try:
            data = sock.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._leave(connection)
            self._forget(connection)
            return
        connection.received += data
        self._buffered += len(data)
        if data:
            self._go_on(connection, before)
            self._keep_buffers_small()
        elif connection.received:
            self.dispatch(connection)
        else:
            self._leave(connection)
            self._forget(connection)

    def _go_on(self, connection: Connection, before: Progress) -> None:
        """Wait for the rest of a request, or have it answered."""
        progress = connection.framing.progress(connection.received)
        if progress is Progress.REFUSED and not connection.framing.has_head:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            self._give_up(connection, status, "bad_request")
        elif progress in (Progress.WHOLE, Progress.REFUSED):
            connection.is_whole = progress is Progress.WHOLE
            self.dispatch(connection)
        elif progress is Progress.BODY and before is Progress.HEAD:
            self._reading[connection] = time.monotonic() + _BODY_SECONDS
            if _EXPECT.search(connection.received):
                # A client that does not take that much takes no more.
                with suppress(OSError):
                    connection.sock.send(_CONTINUE)

    def _keep_buffers_small(self) -> None:
        """Give up the largest of the requests that are coming in, if it must be."""
        if self._buffered > _MOST_BUFFERED_BYTES:
            largest = max(self._reading, key=lambda reading: len(reading.received))
            self._give_up(largest, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable")

    def _give_up(
        self,
        connection: Connection,
        status: HTTPStatus = HTTPStatus.REQUEST_TIMEOUT,
        type_: str = "request_timeout",
    ) -> None:
        self._leave(connection)
        if connection.received:
            self.log.info("Request from %s: %s", connection.client, status.phrase)
            send_error(connection.sock, status, type_)
        self._forget(connection, graceful=bool(connection.received))

    def _leave(self, connection: Connection) -> None:
        """Read no more of a request, of which there is enough or too little."""
        del self._reading[connection]
        self._buffered -= len(connection.received)

    def _forget(self, connection: Connection, *, graceful: bool = False) -> None:
        self._stop_polling(connection)
        self.nr_conns -= 1
        connection.close(graceful)

    def _shed_one(self) -> None:
        """Close the connection that is missed least: an idle one, or a slow one."""
        if self.keepalived_conns:
            self._forget(self.keepalived_conns.popleft())
        elif self._reading:
            connection = next(iter(self._reading))
            self._leave(connection)
            self._forget(connection)

    def _refuse_one(self, listener: Any) -> None:
        """Without descriptors, make room; else the loop would spin or die."""
        self._shed_one()
        os.close(self._spare)
        try:
            listener.accept()[0].close()
        except OSError as e:
            self.log.debug("Cannot even refuse a connection: %s", e)
        finally:
            self._spare = os.open(os.devnull, os.O_RDONLY)
