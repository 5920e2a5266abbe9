"""The gunicorn worker: who comes when, who waits where, and a stop without loss.

What the main loop has read (`nublado.reception`) is answered by a thread, or by the
main loop itself, where somebody asks for what is in memory: the state of labs and their
events. Event streams are handed over to the writer of streams, as are connections that
have to be closed.
"""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import (
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.workers.gthread import ThreadWorker

from nublado.connection import Connection, Outbox, RequestKinds
from nublado.context import ProcessContext
from nublado.handlers.stream import HANDED_OVER
from nublado.raw_responses import head_of_stream, send_error
from nublado.reception import Reception
from nublado.request_threads import RequestThreads
from nublado.services.streams import Stream
from nublado.startup import Part

__all__ = ["Worker"]

_NOTIFY_SECONDS = 1.0
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


class Worker(Reception):
    """Serves requests in threads."""

    wsgi: Any
    # What was inherited holds until it is set, since the default ends the process.
    SIGNALS = [s for s in ThreadWorker.SIGNALS if s != signal.SIGUSR2]

    # --- Life cycle ------------------------------------------------------

    def init_process(self) -> None:
        """Serve until the end; called in the process of the worker."""
        self._notified = 0.0
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the application."""
        super().load_wsgi()
        self._application = self.wsgi
        self.wsgi = self._respond
        self.kinds = RequestKinds(self.context.config.path_prefix)

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

    # --- Requests, in the main loop --------------------------------------

    def notify(self) -> None:
        """Tell gunicorn's master that the loop goes round, once in a while."""
        now = time.monotonic()
        if now - self._notified >= _NOTIFY_SECONDS:
            self._notified = now
            super().notify()

    def enqueue_req(self, conn: Connection) -> None:
        """Let a thread answer a request."""
        if conn.asks_for_a_lab:
            self.context.labs.surge.arrive()
        self._threads.submit(conn, self.handle, self._refuse).add_done_callback(
            lambda future: self.method_queue.defer(self.finish_request, conn, future)
        )
        self.context.load.busy = self._threads.busy

    def finish_request(self, conn: Connection, fs: Future[bool]) -> None:
        """Keep or close a connection, or take its next request up at once."""
        self._threads.note_answered(conn)
        self.context.load.busy = self._threads.busy
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

    def close_gently(self, sock: socket.socket) -> None:
        """Leave a socket to the writer of streams, which closes it."""
        self.context.streams.close(sock)

    def dispatch(self, connection: Connection) -> None:
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
        send_error(conn.sock, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable")
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
            head = head_of_stream(begin.status, begin.headers, chunked=chunked)
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
        if hasattr(body, "close"):
            body.close()
        raise _StreamBegins(stream, status, headers)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Respond to what is not even HTTP as to every other error, in JSON."""
        del req
        if isinstance(exc, ParseException):
            self.log.info("Malformed request from %s: %s", addr, exc)
            send_error(
                client,
                _STATUS.get(type(exc), HTTPStatus.BAD_REQUEST),
                "bad_request",
            )
        else:
            self.log.error("Request failed outside of the application", exc_info=exc)
            send_error(client, HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error")
