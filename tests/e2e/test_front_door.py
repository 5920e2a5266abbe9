"""What clients do to the port: too slow, too many, gone, or hostile."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from nublado.sandbox.stack import Stack
from tests.e2e.conftest import CONFIG
from tests.e2e.users import User
from tests.waiting import wait_for

THREADS = 16
PARTIAL_HEAD = b"GET /healthz HTTP/1.1\r\nHost: example.org\r\nX-Slow"
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: example.org\r\n"
CHUNKED = WHOLE + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def log_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the service has written."""
    return tmp_path_factory.mktemp("narrow") / "log"


@pytest.fixture(scope="module")
def narrow(log_file: Path) -> Iterator[Stack]:
    """A service with few threads."""
    environ = {"NUBLADO_THREADS": str(THREADS)}
    with log_file.open("w") as log, Stack(CONFIG, environ=environ, log=log) as stack:
        yield stack


def connect(stack: Stack, data: bytes = b"") -> socket.socket:
    address = urlsplit(stack.service.url)
    client = socket.create_connection((address.hostname, address.port), 60)
    client.sendall(data)
    return client


def receive(client: socket.socket) -> bytes:
    received = b""
    with client:
        while data := client.recv(65536):
            received += data
    return received


def healthy(stack: Stack) -> bool:
    return requests.get(f"{stack.service.url}/healthz", timeout=60).ok


@pytest.mark.parametrize(
    ("count", "data"),
    [
        (4 * THREADS, PARTIAL_HEAD),
        (4 * THREADS, WHOLE + b"Content-Length: 1000\r\n\r\nabc"),
        (4 * THREADS, WHOLE + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
        (4 * THREADS, WHOLE + b"Content-Length: 0000000001000\r\n\r\nabc"),
        (4 * THREADS, WHOLE + b"Content-Length: 99999999999\r\n\r\nabc"),
        (4 * THREADS, CHUNKED + b"3e8\r\nab\r\n0\r\n\r\n"),
        (4 * THREADS, CHUNKED + b"0\r\nX-Trailer: half"),
        (4 * THREADS, WHOLE + b"\r\n" + PARTIAL_HEAD),
        (600, b""),
    ],
    ids=[
        "partial head",
        "slow body",
        "slow chunks",
        "length with zeros",
        "absurd length",
        "chunk that looks like an end",
        "slow trailer",
        "pipelined",
        "silent",
    ],
)
def test_slow_clients_take_no_threads(narrow: Stack, count: int, data: bytes) -> None:
    with ExitStack() as clients:
        slow = [clients.enter_context(connect(narrow, data)) for _ in range(count)]
        assert healthy(narrow)
        # None of them has been given up for the sake of others.
        assert all(not closed(client) for client in slow)


def closed(client: socket.socket) -> bool:
    """Whether the server has closed a connection; reads what it has sent."""
    client.setblocking(False)
    try:
        while client.recv(65536):
            continue
    except BlockingIOError:
        return False
    return True


def test_slow_heads_end_in_a_timeout(narrow: Stack) -> None:
    response = receive(connect(narrow, PARTIAL_HEAD))
    assert response.startswith(b"HTTP/1.1 408 ")
    assert b"request_timeout" in response


def test_bodies_may_be_sent_in_pieces_and_when_told_to(narrow: Stack) -> None:
    user = User(narrow, "patient")
    head = (
        f"POST {urlsplit(user.lab).path}/create HTTP/1.1\r\nHost: example.org\r\n"
        "Content-Type: application/json\r\nConnection: close\r\n"
        "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    )
    client = connect(narrow, head.encode())
    assert client.recv(65536).startswith(b"HTTP/1.1 100 Continue\r\n")
    client.sendall(b"nu")
    client.sendall(b"ll")
    assert b"HTTP/1.1 422 " in receive(client)


def test_pipelined_requests_are_answered_in_order(narrow: Stack) -> None:
    last = WHOLE.replace(b"/healthz", b"/nowhere") + b"Connection: close\r\n\r\n"
    response = receive(connect(narrow, (WHOLE + b"\r\n") * 3 + last))
    assert response.count(b"HTTP/1.1 200 ") == 3
    assert response.rindex(b"HTTP/1.1 404 ") > response.rindex(b"HTTP/1.1 200 ")


def test_clients_that_do_not_close_hold_nobody_up(narrow: Stack) -> None:
    request = WHOLE + b"Connection: close\r\n\r\n"
    with ExitStack() as clients:
        for _ in range(4 * THREADS):
            client = clients.enter_context(connect(narrow, request))
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert healthy(narrow)


def test_a_stream_that_is_not_read_harms_no_other(narrow: Stack) -> None:
    user = User(narrow, "deaf")
    narrow.control.settings(failing_pulls=["sciplat/lab"])
    assert user.create().status_code == 201
    head = (
        f"GET {urlsplit(user.lab).path}/events HTTP/1.1\r\nHost: example.org\r\n"
        f"X-Auth-Request-User: {user.name}\r\n\r\n"
    )
    with connect(narrow, head.encode()):
        events = user.follow()
        narrow.control.settings(failing_pulls=[])
        assert events.ended.wait(60)
        assert events.kinds[-1] == "complete"


def test_running_out_of_descriptors_is_survived(tmp_path: Path) -> None:
    with (
        (tmp_path / "log").open("w+") as log,
        Stack(
            CONFIG, environ={"NUBLADO_THREADS": str(THREADS)}, log=log, descriptors=256
        ) as stack,
    ):
        with ExitStack() as clients:
            for _ in range(400):
                clients.enter_context(connect(stack))
            assert healthy(stack)
        assert healthy(stack)
        user = User(stack, "lucky")
        assert user.spawn().kinds[-1] == "complete"


def test_signals_never_make_two_workers(narrow: Stack, log_file: Path) -> None:
    user = User(narrow, "steady")
    user.spawn()
    before = workers(narrow)
    assert len(before) == 1
    names = ["SIGTTIN", "SIGHUP", "SIGWINCH", "SIGTTOU"]
    for name in names:
        os.kill(narrow.service.pid, signal.Signals[name])
        wait_for(partial(is_logged, log_file, f"Ignoring {name}"))
        assert workers(narrow) == before
    assert user.status == "running"


def test_signal_changes_the_log_level_and_back(narrow: Stack, log_file: Path) -> None:
    before = workers(narrow)
    debug = "Kubernetes request"
    User(narrow, "quiet").spawn()
    assert not is_logged(log_file, debug)
    os.kill(narrow.service.pid, signal.SIGUSR2)
    wait_for(partial(is_logged, log_file, "to=DEBUG"))
    User(narrow, "loud").spawn()
    wait_for(partial(is_logged, log_file, debug))
    os.kill(narrow.service.pid, signal.SIGUSR2)
    wait_for(partial(is_logged, log_file, "to=INFO"))
    assert workers(narrow) == before


def is_logged(log_file: Path, text: str) -> bool:
    return text in log_file.read_text()


def workers(stack: Stack) -> list[int]:
    children = Path(f"/proc/{stack.service.pid}/task/{stack.service.pid}/children")
    return [int(pid) for pid in children.read_text().split()]


def test_streams_end_in_order_when_the_service_stops(narrow: Stack) -> None:
    user = User(narrow, "last")
    narrow.control.settings(failing_pulls=["sciplat/lab"])
    assert user.create().status_code == 201
    events = user.follow()
    wait_for(lambda: events.messages)
    narrow.service.stop()
    assert events.ended.wait(60)
    assert not events.cut_off
    assert narrow.service.exit_code == 0
