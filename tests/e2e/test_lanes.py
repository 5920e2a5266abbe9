"""What comes by the hundred does not delay what is answered from memory."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from nublado.sandbox.stack import Stack
from tests.e2e.conftest import CONFIG
from tests.e2e.users import User

THREADS = 16


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Stack]:
    """A service with few threads."""
    environ = {"NUBLADO_THREADS": str(THREADS)}
    with (
        (tmp_path / "log").open("w") as log,
        Stack(CONFIG, environ=environ, log=log) as stack,
    ):
        yield stack


def connect(stack: Stack, data: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", stack.service.port), 60)
    client.sendall(data)
    return client


def test_state_is_told_while_creates_wait_for_gafaelfawr(narrow: Stack) -> None:
    narrow.control.faults({"target": "gafaelfawr", "delay": 4.0})
    try:
        with ExitStack() as clients:
            creates = [
                clients.enter_context(connect(narrow, create_of(narrow, f"wave{n}")))
                for n in range(4 * THREADS)
            ]
            labs = f"{narrow.api_url}/spawner/v1/labs"
            assert requests.get(labs, timeout=60).ok
            assert requests.get(f"{labs}/nobody", timeout=60).status_code == 404
            assert requests.get(f"{narrow.api_url}/", timeout=60).ok
            # Had it waited in their line, most of them would have been answered.
            assert sum(map(has_answer, creates)) < len(creates) / 2
    finally:
        narrow.control("DELETE", "/faults")


def create_of(stack: Stack, name: str) -> bytes:
    """A request for a lab, as it is sent."""
    user = User(stack, name)
    body = json.dumps(user.specification()).encode()
    head = (
        f"POST {urlsplit(user.lab).path}/create HTTP/1.1\r\nHost: example.org\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        + "".join(f"{key}: {value}\r\n" for key, value in user.headers.items())
    )
    return head.encode() + b"\r\n" + body


def has_answer(client: socket.socket) -> bool:
    """Whether anything has come already."""
    return bool(select.select([client], [], [], 0)[0])
