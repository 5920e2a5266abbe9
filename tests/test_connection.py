"""Connections to clients, as the worker keeps them."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from gunicorn.config import Config

from nublado.connection import Connection, Outbox, RequestKinds
from nublado.framing import Progress


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def connection(sockets: tuple[socket.socket, socket.socket]) -> Connection:
    return Connection(
        Config(),
        sockets[0],
        ("", 1),
        ("", 2),
        socket.socket.close,
        RequestKinds("/nublado"),
    )


@pytest.mark.parametrize(
    ("received", "asks"),
    [
        (b"GET /nublado/spawner/v1/labs/rachel HTTP/1.1\r\n\r\n", True),
        (b"GET /nublado/spawner/v1/labs HTTP/1.1\r\n\r\n", True),
        (b"GET /nublado/spawner/v1/user-status HTTP/1.1\r\nA: b\r\n\r\n", True),
        (b"GET /nublado/spawner/v1/labs/rachel/events HTTP/1.1\r\n\r\n", True),
        (b"GET /nublado/spawner/v1/labs/a?b=c HTTP/1.1\r\n\r\n", False),
        # Behind another prefix there may be a page that waits.
        (b"GET /files/spawner/v1/labs HTTP/1.1\r\n\r\n", False),
        (b"GET /files/spawner/v1/user-status HTTP/1.1\r\n\r\n", False),
        (b"GET /files/x/spawner/v1/labs/rachel/events HTTP/1.1\r\n\r\n", False),
        (b"GET /files/nublado/spawner/v1/labs HTTP/1.1\r\n\r\n", False),
        (b"GET /nublado/spawner/v1/labs/a%2fcreate HTTP/1.1\r\n\r\n", False),
        (b"HEAD /nublado/spawner/v1/labs/rachel HTTP/1.1\r\n\r\n", False),
        (b"DELETE /nublado/spawner/v1/labs/rachel HTTP/1.1\r\n\r\n", False),
        (b"GET /nublado/spawner/v1/images HTTP/1.1\r\n\r\n", False),
        # What follows would have to wait for the answer.
        (2 * b"GET /nublado/spawner/v1/labs HTTP/1.1\r\n\r\n", False),
        (b"GET /nublado/spawner/v1/labs HTTP/1.1\r\nContent-Length: 1\r\n\r\na", False),
        (
            b"GET /nublado/spawner/v1/labs HTTP/1.1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            False,
        ),
    ],
)
def test_one_question_for_what_is_known_is_told_from_everything_else(
    connection: Connection, received: bytes, asks: bool
) -> None:
    connection.received += received
    assert connection.framing.progress(connection.received) is Progress.WHOLE
    assert connection.asks_what_is_known is asks


def test_response_is_sent_in_one_piece(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = sockets
    outbox = Outbox(ours)
    outbox.sendall(b"head ")
    outbox.sendall(b"body")
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(65536)
    outbox.flush()
    assert theirs.recv(65536) == b"head body"
    assert not outbox.rest


def test_what_a_client_does_not_take_is_left(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = sockets
    ours.setblocking(False)
    outbox = Outbox(ours)
    data = bytes(range(256)) * 2**14
    outbox.setblocking(True)
    outbox.sendall(data)
    outbox.flush()
    assert 0 < len(outbox.rest) < len(data)
    received = b""
    while len(received) < len(data) - len(outbox.rest):
        received += theirs.recv(65536)
    assert received + outbox.rest == data
