"""Fixtures for tests of several parts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    """Close the connection instead of answering."""
    after: threading.Event | None = None
    """Answer only once this has happened."""
    slowly: bool = False
    """Send the body byte by byte."""


class OutsideSystem:
    """A real HTTP server that answers as a test wants it to."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[Answer] = []
        self.default = Answer()
        self.connections = 0
        self.most_connections = 0
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_received(self, count: int, seconds: float = 10.0) -> list[Received]:
        """Wait for so many requests altogether."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.received) >= count, seconds)
            assert len(self.received) >= count, "not enough requests"
            return list(self.received)

    def receive(self, request: Received) -> Answer:
        with self._changed:
            self.received.append(request)
            self._changed.notify_all()
            return self.answers.pop(0) if self.answers else self.default

    def connected(self, change: int) -> None:
        with self._changed:
            self.connections += change
            self.most_connections = max(self.most_connections, self.connections)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outside = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle(self) -> None:
                outside.connected(1)
                try:
                    super().handle()
                except OSError:
                    self.close_connection = True
                finally:
                    outside.connected(-1)

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                headers = {k.lower(): v for k, v in self.headers.items()}
                body = self.rfile.read(length)
                answer = outside.receive(
                    Received(self.command, self.path, headers, body)
                )
                if answer.after is not None:
                    answer.after.wait(30)
                if answer.drop:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                step = 1 if answer.slowly else len(answer.body) or 1
                for start in range(0, len(answer.body), step):
                    self.wfile.write(answer.body[start : start + step])
                    time.sleep(0.01 if answer.slowly else 0)

            do_POST = do_DELETE = do_GET  # noqa: N815

            def log_message(self, *args: object) -> None:
                """Keep quiet."""

        return Handler


@pytest.fixture
def outside() -> Iterator[OutsideSystem]:
    """An outside system; its default answer is an empty 200."""
    system = OutsideSystem()
    system.start()
    yield system
    system.stop()


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Wait until a condition holds, for 10 s at most."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10.0
        while not condition():
            assert time.monotonic() < deadline, "condition does not come true"
            time.sleep(0.005)

    return wait
