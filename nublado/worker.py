"""The gunicorn worker: threads, JSON for broken requests, a stop without loss."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import (
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.workers.gthread import ThreadWorker

__all__ = ["Worker"]

_START_SECONDS = 30.0
_STATUS = {
    LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
}


class Worker(ThreadWorker):  # type: ignore[misc]
    """Serves requests in threads."""

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Create all threads now.

        Starting one takes longer than most requests when hundreds come at once.
        """
        pool: ThreadPoolExecutor = super().get_thread_pool()
        together = threading.Barrier(self.cfg.threads + 1)
        for _ in range(self.cfg.threads):
            pool.submit(together.wait, _START_SECONDS)
        together.wait(_START_SECONDS)
        return pool

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop: end event streams, so that their clients reconnect."""
        if self.alive and self.wsgi is not None:
            context = self.wsgi.extensions["nublado"]
            threading.Thread(target=context.stop, name="stop").start()
        super().handle_exit(sig, frame)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Respond to what is not even HTTP as to every other error, in JSON."""
        del req
        if isinstance(exc, ParseException):
            status = _STATUS.get(type(exc), HTTPStatus.BAD_REQUEST)
            type_ = "bad_request"
            self.log.info("Malformed request from %s: %s", addr, exc)
        else:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            type_ = "internal_error"
            self.log.error("Request failed outside of the application", exc_info=exc)
        problem = {"type": type_, "msg": status.phrase}
        body = json.dumps({"detail": [problem]}).encode()
        head = (
            f"HTTP/1.1 {status} {status.phrase}\r\nConnection: close\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            client.sendall(head.encode() + body)
        except OSError:
            self.log.debug("Client of malformed request has gone")
