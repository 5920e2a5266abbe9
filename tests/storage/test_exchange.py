"""How requests are written and responses are read, byte by byte."""

from __future__ import annotations

import math
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import urllib3
from urllib3.exceptions import ProtocolError, ReadTimeoutError, SSLError

from nublado.storage.exchange import Pool, Response, ResponseTooLongError, TLSPool

_SECONDS = 30.0


class ByteServer:
    """Takes requests on one connection after another, and answers with bytes.

    Each script is what is sent for the requests of one connection, in pieces; the
    connection is closed behind the last.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._tls = tls
        self.port = self._listener.getsockname()[1]
        self.scripts: list[list[list[bytes]]] = []
        self.received: list[bytes] = []
        self.between_pieces: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._tls is not None:
                    sock = self._tls.wrap_socket(sock, server_side=True)
            except OSError:
                if self._listener.fileno() < 0:
                    return
                continue
            with sock:
                for pieces in self.scripts.pop(0):
                    self.received.append(_request(sock))
                    for piece in pieces:
                        with suppress(OSError):
                            sock.sendall(piece)
                        self.between_pieces()


def _request(sock: socket.socket) -> bytes:
    """Read one request, whose body is as long as it says."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(1)
    length = data.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    for _ in range(int(length or b"0")):
        data += sock.recv(1)
    return data


@pytest.fixture
def server() -> Iterator[ByteServer]:
    server = ByteServer()
    yield server
    server.close()


@pytest.fixture
def pool(server: ByteServer) -> Iterator[Pool]:
    pool = Pool("127.0.0.1", server.port, maxsize=1, block=True)
    yield pool
    pool.close()


def _get(pool: Pool, most_bytes: float = math.inf) -> Response:
    return pool.exchange("GET", "/a", {"A": "b"}, None, _SECONDS, most_bytes)


def _plain(body: bytes, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", *headers, b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, b"", body])


def test_request_goes_out_in_one_piece_with_its_body(
    server: ByteServer, pool: Pool
) -> None:
    server.scripts = [[[_plain(b"{}")]]]
    pool.exchange("POST", "/a?b=c", {"Accept": "x", "B": "c"}, b"body", _SECONDS)
    assert server.received == [
        b"POST /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: x\r\nB: c\r\n"
        b"Content-Length: 4\r\n\r\nbody" % server.port
    ]


def test_connection_is_used_again(server: ByteServer, pool: Pool) -> None:
    server.scripts = [[[_plain(b"one", b"X-A:  b ")], [_plain(b"two")]]]
    assert _get(pool) == Response(200, {"x-a": "b", "content-length": "3"}, b"one")
    assert _get(pool).data == b"two"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (_plain(b"x" * 300_000), b"x" * 300_000),
        (_plain(b""), b""),
        (b"HTTP/1.1 200 OK\r\n\r\nall until the end", b"all until the end"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nchunk\r\n00A;x=y\r\ned\r\n0\r\n\r\n!\r\n0\r\nTrailer: x\r\n\r\n",
            b"chunked\r\n0\r\n\r\n!",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + _plain(b"final"), b"final"),
    ],
    ids=["long", "empty", "no-length", "no-content", "chunked", "interim"],
)
@pytest.mark.parametrize("size", [1, 7, 2**20], ids=["bytes", "pieces", "whole"])
def test_body_is_read_to_its_end(
    server: ByteServer, pool: Pool, answer: bytes, body: bytes, size: int
) -> None:
    size = max(size, len(answer) // 1000)
    pieces = [answer[i : i + size] for i in range(0, len(answer), size)]
    server.scripts = [[pieces]]
    assert _get(pool).data == body


@pytest.mark.parametrize(
    "last",
    [
        _plain(b"one", b"Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\none",
        _plain(b"one") + b"more than was asked for",
    ],
    ids=["close", "http-1.0", "excess"],
)
def test_connection_that_is_over_is_not_used_again(
    server: ByteServer, pool: Pool, last: bytes
) -> None:
    server.scripts = [[[last], [b"HTTP/1.1 500 Wrong\r\n\r\n"]], [[_plain(b"two")]]]
    server.scripts[0].pop()
    assert _get(pool).data == b"one"
    assert _get(pool).data == b"two"


def test_connection_that_the_server_has_closed_is_replaced(
    server: ByteServer,
    pool: Pool,
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    server.scripts = [[[_plain(b"one")]], [[_plain(b"two")]]]
    assert _get(pool).data == b"one"
    connection = pool._get_conn()
    pool._put_conn(connection)
    eventually(lambda: not connection.is_connected)
    assert _get(pool).data == b"two"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"220 mail.example.org ESMTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 60_000 + b"\r\n",
    ],
)
def test_what_breaks_off_or_is_no_response_is_an_error(
    server: ByteServer, pool: Pool, answer: bytes
) -> None:
    server.scripts = [[[answer]], [[_plain(b"two")]]]
    with pytest.raises(ProtocolError):
        _get(pool)
    assert _get(pool).data == b"two"


@pytest.mark.parametrize(
    "answer",
    [
        _plain(b"xxxx"),
        b"HTTP/1.1 200 OK\r\n\r\nxxxx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxx\r\n2\r\nxx\r\n",
    ],
)
def test_body_above_the_limit_is_not_read(
    server: ByteServer, pool: Pool, answer: bytes
) -> None:
    server.scripts = [[[answer]], [[_plain(b"xxx")]]]
    with pytest.raises(ResponseTooLongError):
        _get(pool, 3)
    assert _get(pool, 3).data == b"xxx"


def test_silence_is_a_timeout(server: ByteServer, pool: Pool) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    silent = Pool("127.0.0.1", listener.getsockname()[1])
    with pytest.raises(ReadTimeoutError, match="Read timed out"):
        silent.exchange("GET", "/", {}, None, 0.05)
    silent.close()
    listener.close()


@pytest.mark.parametrize(
    "headers", [{"A": "b\r\nC: d"}, {"A\r\nB": "c"}, {"A": "b\nc"}]
)
def test_line_break_does_not_get_into_a_request(
    server: ByteServer, pool: Pool, headers: dict[str, str]
) -> None:
    server.scripts = [[[_plain(b"")]]]
    with pytest.raises(ValueError, match="Line break"):
        pool.exchange("GET", "/", headers, None, _SECONDS)
    with pytest.raises(ValueError, match="Line break"):
        pool.exchange("GET", "/ HTTP/1.1\r\nA: b", {}, None, _SECONDS)
    assert _get(pool).status == 200
    assert len(server.received) == 1


@pytest.fixture
def tls(certificate: Path) -> Iterator[ByteServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = ByteServer(context)
    yield server
    server.close()


def test_certificates_are_checked(tls: ByteServer, certificate: Path) -> None:
    tls.scripts = [[[_plain(b"secret")]]]
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        TLSPool("127.0.0.1", tls.port).exchange("GET", "/", {}, None, _SECONDS)
    trusting = TLSPool("127.0.0.1", tls.port, ca_certs=str(certificate))
    assert trusting.exchange("GET", "/", {}, None, _SECONDS).data == b"secret"
    assert len(tls.received) == 1
    trusting.close()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(urllib3.exceptions.NewConnectionError):
        Pool("127.0.0.1", port).exchange("GET", "/", {}, None, _SECONDS)


@pytest.mark.parametrize(
    "excess",
    [b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 "],
)
def test_response_is_the_one_that_was_asked_for(
    server: ByteServer, pool: Pool, excess: bytes
) -> None:
    server.scripts = [[[_plain(b"one") + excess]], [[_plain(b"two")]]]
    assert _get(pool) == Response(200, {"content-length": "3"}, b"one")
    assert _get(pool).data == b"two"


def test_another_protocol_is_an_error(server: ByteServer, pool: Pool) -> None:
    switch = b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    server.scripts = [[[switch]], [[_plain(b"two")]]]
    with pytest.raises(ProtocolError):
        _get(pool)
    assert _get(pool).data == b"two"


def test_a_server_that_trickles_gets_no_more_time(
    server: ByteServer, pool: Pool
) -> None:
    head, pause = b"HTTP/1.1 200 OK\r\n\r\n", threading.Event()
    server.between_pieces = lambda: pause.wait(0.05)
    server.scripts = [[[head, *([b"x"] * 600)]]]
    with pytest.raises(ReadTimeoutError):
        pool.exchange("GET", "/", {}, None, 0.5)
    pause.set()
