"""Servers as their clients see them."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
import responses
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Received:
    """A request that was sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str = ""

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def target(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    @property
    def authorization(self) -> str | None:
        return self.headers.get("Authorization")


@dataclass(frozen=True)
class Reply:
    """How to respond; ``drop`` breaks the connection instead."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    drop: bool = False

    @classmethod
    def json(cls, content: object, **headers: str) -> Reply:
        return cls(headers=headers, body=json.dumps(content).encode())


class FakeRegistry:
    """Responds to each path by a function, or by replies in order."""

    host = "registry.example.org"
    other_host = "storage.example.net"

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.busy = 0
        self.most_busy = 0
        self._lock = threading.Lock()
        self._routes: dict[str, Callable[[Received], Reply]] = {}

    def on(self, path: str, *replies: Reply | Callable[[Received], Reply]) -> None:
        """Respond to a path; the last reply counts from then on."""
        left = list(replies)

        def respond(received: Received) -> Reply:
            with self._lock:
                reply = left.pop(0) if len(left) > 1 else left[0]
            return reply if isinstance(reply, Reply) else reply(received)

        self._routes[path] = respond

    def count(self, path: str) -> int:
        return sum(received.path == path for received in self.received)

    def respond(
        self, request: requests.PreparedRequest
    ) -> tuple[int, Mapping[str, str], bytes] | Exception:
        assert request.method
        assert request.url
        body = request.body or b""
        received = Received(
            request.method,
            request.url,
            dict(request.headers),
            body if isinstance(body, str) else body.decode(),
        )
        with self._lock:
            self.received.append(received)
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
        try:
            route = self._routes.get(received.path)
            reply = route(received) if route else Reply(404)
        finally:
            with self._lock:
                self.busy -= 1
        if reply.drop:
            return requests.ConnectionError("Connection aborted.")
        return reply.status, reply.headers, reply.body


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of this machine that nobody else has signed, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    address = x509.IPAddress(ip_address("127.0.0.1"))
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    """A registry without anything in it."""
    registry = FakeRegistry()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for method in ("GET", "HEAD", "POST"):
            mock.add_callback(method, re.compile("https://.*"), registry.respond)
        yield registry


@pytest.fixture
def reply() -> type[Reply]:
    """How a registry may reply."""
    return Reply
