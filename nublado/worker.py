"""The gunicorn worker: who comes when, who waits where, and a stop without loss.

Requests are read by the main loop, without blocking, and reach a thread once
they are whole: slow clients cost a socket, not a thread. Whoever asks for what is in
memory, the state of labs and their events, gets it from the main loop itself. Event
streams are handed over to the writer of streams, as are connections that have to be
closed.
"""

from __future__ import annotations

import errno
import json
import os
import re
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.http.errors import (
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.workers.gthread import ThreadWorker

from nublado.connection import Connection, Outbox
from nublado.context import ProcessContext
from nublado.framing import Progress
from nublado.handlers.stream import HANDED_OVER
from nublado.request_threads import RequestThreads
from nublado.services.streams import Stream
from nublado.startup import Part

__all__ = ["Worker"]

_HEAD_SECONDS = 10.0
_BODY_SECONDS = 30.0
_MOST_BUFFERED_BYTES = 64 * 1024 * 1024
_RECEIVE_BYTES = 64 * 1024
_MOST_ACCEPTED = 64
_NOTIFY_SECONDS = 1.0
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
_EXPECT = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS = {
    LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
}

StartResponse = Callable[..., Any]


class _StreamBegins(Exception):  # noqa: N818
    """The response is a stream, of which this is the head."""

    def __init__(
        self, stream: Stream, status: str, headers: Iterable[tuple[str, str]]
    ) -> None:
        super().__init__()
        self.stream = stream
        self.status = status
        self.headers = headers


class Worker(ThreadWorker):  # type: ignore[misc]
    """Serves requests in threads."""

    wsgi: Any
    # What was inherited holds until it is set, since the default ends the process.
    SIGNALS = [s for s in ThreadWorker.SIGNALS if s != signal.SIGUSR2]

    # --- Life cycle ------------------------------------------------------

    def init_process(self) -> None:
        """Serve until the end; called in the process of the worker."""
        self._spare = os.open(os.devnull, os.O_RDONLY)
        self._reading: dict[Connection, float] = {}
        self._buffered = 0
        self._notified = 0.0
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the application."""
        super().load_wsgi()
        self._application = self.wsgi
        self.wsgi = self._respond

    @property
    def context(self) -> ProcessContext:
        """Everything that lives as long as the process."""
        context: ProcessContext = self._application.extensions["nublado"]
        return context

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Create all threads; gunicorn is given those that it would have."""
        self._threads = RequestThreads(self.cfg.threads)
        return self._threads.others

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop: requests are answered until the service has stopped.

        JupyterHub, which asks for the state of labs meanwhile, would take any
        other answer for dead labs.
        """

        def stop() -> None:
            self.context.stop()
            super(Worker, self).handle_exit(sig, frame)

        if self.wsgi is None:
            super().handle_exit(sig, frame)
        elif not self.context.stopping:
            threading.Thread(target=stop, name="stop").start()

    def init_signals(self) -> None:
        """Let SIGUSR2 change the log level."""
        super().init_signals()
        signal.signal(signal.SIGUSR2, self.handle_usr2)
        signal.siginterrupt(signal.SIGUSR2, False)

    def handle_usr2(self, _signal: int, _frame: Any) -> None:
        """Log more for a while, or as usual again."""
        if self.wsgi is not None:
            toggle = self.context.log_level.toggle
            threading.Thread(target=toggle, args=("SIGUSR2",)).start()

    def is_parent_alive(self) -> bool:
        """Whether gunicorn's master lives; without it, stop and free the port."""
        if super().is_parent_alive():
            return True
        self.set_accept_enabled(enabled=False)
        for listener in self.sockets:
            listener.close()
        if not self.context.stopping:
            threading.Thread(target=self.context.stop, name="stop").start()
        return False

    # --- Connections, in the main loop -----------------------------------

    def notify(self) -> None:
        """Tell gunicorn's master that the loop goes round, once in a while."""
        now = time.monotonic()
        if now - self._notified >= _NOTIFY_SECONDS:
            self._notified = now
            super().notify()

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
        address, close = listener.getsockname(), self._close_gently
        self._read(Connection(self.cfg, sock, client, address, close))
        return True

    def _close_gently(self, sock: socket.socket) -> None:
        self.context.streams.close(sock)

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

    def enqueue_req(self, conn: Connection) -> None:
        """Let a thread answer a request."""
        if conn.asks_for_a_lab:
            self.context.labs.surge.arrive()
        self._threads.submit(conn, self.handle, self._refuse).add_done_callback(
            lambda future: self.method_queue.defer(self.finish_request, conn, future)
        )

    def finish_request(self, conn: Connection, fs: Future[bool]) -> None:
        """Keep or close a connection, or take its next request up at once."""
        self._threads.note_answered(conn)
        if conn.asks_for_a_lab:
            self.context.labs.surge.answer()
        is_kept = not fs.cancelled() and fs.exception() is None and fs.result()
        ahead = conn.parser.unreader.take_buffered() if is_kept else b""
        if ahead:
            conn.received += ahead
            self._read(conn)
        else:
            super().finish_request(conn, fs)
            conn.is_polled = bool(is_kept)

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
            self._dispatch(connection)
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
            self._dispatch(connection)
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

    def _dispatch(self, connection: Connection) -> None:
        """Have a request answered: by a thread, unless that waits for nothing."""
        self._leave(connection)
        is_quick = self._can_answer_here(connection)
        connection.hand_to_parser()
        if is_quick:
            self._answer_here(connection)
        else:
            self._stop_polling(connection)
            self.enqueue_req(connection)

    def _can_answer_here(self, connection: Connection) -> bool:
        """Whether a request is answered from memory alone.

        What comes behind it would have to wait on the stack.
        """
        return (
            connection.asks_what_is_known
            and self.alive
            and self.context.wait_up(Part.LABS, 0.0)
        )

    def _answer_here(self, connection: Connection) -> None:
        if self.handle(connection):
            connection.set_timeout()
            self.keepalived_conns.append(connection)
            again = partial(self.on_client_socket_readable, connection)
            self._poll(connection, again)
        else:
            self._forget(connection, graceful=True)

    def _give_up(
        self,
        connection: Connection,
        status: HTTPStatus = HTTPStatus.REQUEST_TIMEOUT,
        type_: str = "request_timeout",
    ) -> None:
        self._leave(connection)
        if connection.received:
            self.log.info("Request from %s: %s", connection.client, status.phrase)
            _send_error(connection.sock, status, type_)
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

    # --- Requests, in a thread -------------------------------------------

    def handle(self, conn: Connection) -> bool:
        """Answer a request; tell whether the connection can be kept."""
        sock = conn.sock
        conn.sock = outbox = Outbox(sock)
        try:
            is_kept = bool(super().handle(conn))
            outbox.flush()
        except OSError as e:
            self.log.debug("Client is gone: %s", e)
            is_kept = False
        finally:
            conn.sock = sock
        if outbox.rest and not conn.is_handed_over:
            self._hand_over(conn)
            self.context.streams.finish(sock, outbox.rest)
            return False
        return is_kept

    def _refuse(self, conn: Connection) -> bool:
        """Refuse a request that has waited for a thread for too long."""
        self.log.warning("Request from %s has waited for too long", conn.client)
        _send_error(conn.sock, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable")
        return False

    def _hand_over(self, conn: Connection) -> None:
        """Leave a socket to the writer of streams."""
        self._stop_polling(conn)
        conn.is_handed_over = True

    def handle_request(self, req: Any, conn: Connection) -> bool:
        """Answer what has been parsed."""
        if not conn.is_whole:
            # Where the next request would begin is not known.
            req.force_close()
        try:
            return bool(super().handle_request(req, conn))
        except _StreamBegins as begin:
            chunked = req.version >= (1, 1)
            head = _head_of_stream(begin.status, begin.headers, chunked=chunked)
            self._hand_over(conn)
            sock = conn.sock.sock
            self.context.streams.write(sock, head, begin.stream, chunked=chunked)
            return False

    def _respond(
        self, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """Call the application, and stop where its response is a stream."""
        begun: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            begun.append((status, headers))
            return start_response(status, headers, *rest)

        body: Any = self._application(environ, start)
        stream: Stream | None = environ.get(HANDED_OVER)
        if stream is None:
            return body  # type: ignore[no-any-return]
        status, headers = begun[-1]
        if not status.startswith("200"):
            self.context.streams.release(stream.owner)
            return body  # type: ignore[no-any-return]
        body.close()
        raise _StreamBegins(stream, status, headers)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Respond to what is not even HTTP as to every other error, in JSON."""
        del req
        if isinstance(exc, ParseException):
            self.log.info("Malformed request from %s: %s", addr, exc)
            _send_error(
                client,
                _STATUS.get(type(exc), HTTPStatus.BAD_REQUEST),
                "bad_request",
            )
        else:
            self.log.error("Request failed outside of the application", exc_info=exc)
            _send_error(client, HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error")


def _head_of_stream(
    status: str, headers: Iterable[tuple[str, str]], *, chunked: bool
) -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        f"Date: {util.http_date()}",
        "Connection: close",
        *(["Transfer-Encoding: chunked"] if chunked else []),
        *(f"{k}: {v}" for k, v in headers if k.lower() != "content-length"),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _send_error(sock: Any, status: HTTPStatus, type_: str) -> None:
    """Send an error of the one shape, as far as the client takes it."""
    body = json.dumps({"detail": [{"type": type_, "msg": status.phrase}]})
    head = (
        f"HTTP/1.1 {status} {status.phrase}\r\nConnection: close\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    try:
        sock.sendall((head + body).encode())
    except OSError:
        return
