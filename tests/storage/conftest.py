"""A Docker registry that answers as a test wants it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest


@dataclass(frozen=True)
class Asked:
    """A request that has come in."""

    method: str
    target: str
    host: str
    authorization: str | None
    accept: str

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


@dataclass(frozen=True)
class Reply:
    """What to answer; ``drop`` closes the connection instead."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    drop: bool = False

    @classmethod
    def json(cls, content: object, **headers: str) -> Reply:
        return cls(headers=headers, body=json.dumps(content).encode())


class ScriptedRegistry:
    """Answers each path by a function, or by replies in order."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.busy = 0
        self.most_busy = 0
        self._lock = threading.Lock()
        self._routes: dict[str, Callable[[Asked], Reply]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.other_host = f"localhost:{self._server.server_port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def on(self, path: str, *replies: Reply | Callable[[Asked], Reply]) -> None:
        """Answer a path; the last reply counts from then on."""
        left = list(replies)

        def answer(asked: Asked) -> Reply:
            with self._lock:
                reply = left.pop(0) if len(left) > 1 else left[0]
            return reply if isinstance(reply, Reply) else reply(asked)

        self._routes[path] = answer

    def count(self, path: str) -> int:
        return sum(asked.path == path for asked in self.asked)

    def _answer(self, asked: Asked) -> Reply:
        with self._lock:
            self.asked.append(asked)
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
        try:
            route = self._routes.get(asked.path)
            return route(asked) if route else Reply(404)
        finally:
            with self._lock:
                self.busy -= 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                reply = registry._answer(
                    Asked(
                        self.command,
                        self.path,
                        self.headers.get("Host", ""),
                        self.headers.get("Authorization"),
                        self.headers.get("Accept", ""),
                    )
                )
                if reply.drop:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(reply.body)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *args: object) -> None:
                """Keep quiet."""

        return Handler


@pytest.fixture
def registry() -> Iterator[ScriptedRegistry]:
    """A registry without anything in it."""
    server = ScriptedRegistry()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def reply() -> type[Reply]:
    """How a registry may reply."""
    return Reply
