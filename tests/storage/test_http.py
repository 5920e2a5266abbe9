"""What the wire decides: deadlines, sizes, resets, redirects, connections."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nublado.storage import http
from nublado.storage.http import (
    HTTPClient,
    HTTPRequest,
    HTTPRequestError,
)
from tests.scripted_server import Reply, ScriptedServer

MAX_IN_FLIGHT = 4
PLENTY_SECONDS = 60.0


@pytest.fixture
def client() -> Iterator[HTTPClient]:
    client = HTTPClient(MAX_IN_FLIGHT, "test")
    yield client
    client.close()


def _get(client: HTTPClient, url: str, seconds: float = PLENTY_SECONDS) -> bytes:
    with client.send(HTTPRequest("GET", url), seconds=seconds) as response:
        return response.read()


def test_request_and_response_are_complete(
    outside: ScriptedServer, client: HTTPClient
) -> None:
    outside.default = Reply(418, b"body", {"X-Kind": "tea"})
    request = HTTPRequest("POST", f"{outside.url}/a%20b?c=d%3Ae", {"A": "b"}, b"sent")
    with client.send(request, seconds=PLENTY_SECONDS) as response:
        assert response.status == 418
        assert response.headers["x-kind"] == "tea"
        assert response.read() == b"body"
    (received,) = outside.received
    assert (received.method, received.path) == ("POST", "/a%20b?c=d%3Ae")
    assert received.body == b"sent"
    assert received.headers["a"] == "b"
    assert received.headers["user-agent"].startswith("nublado/")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(headers={"X": "y" * 10_000}, slow_headers=True),
        Reply(body=b"x" * 10_000, slow_body=True),
    ],
)
def test_deadline_covers_headers_and_body(
    outside: ScriptedServer, client: HTTPClient, reply: Reply
) -> None:
    outside.default = reply
    began = time.monotonic()
    with pytest.raises(HTTPRequestError, match="response takes too long") as error:
        _get(client, outside.url, 0.3)
    assert time.monotonic() - began < 30.0
    assert not error.value.retryable


def test_body_that_ends_with_its_connection_is_not_cut_by_the_deadline(
    outside: ScriptedServer, client: HTTPClient
) -> None:
    outside.default = Reply(body=b"x" * 10_000, slow_body=True, announced=-1)
    with pytest.raises(HTTPRequestError, match="response takes too long"):
        _get(client, outside.url, 0.3)


def test_deadline_passes_while_nobody_reads(
    outside: ScriptedServer, client: HTTPClient
) -> None:
    outside.default = Reply(body=b"x" * 100, slow_body=True)
    request = HTTPRequest("GET", outside.url)
    with client.send(request, seconds=0.2) as response:
        threading.Event().wait(0.3)
        with pytest.raises(HTTPRequestError, match="response takes too long"):
            response.read()


def test_silent_server_is_given_up(
    outside: ScriptedServer, client: HTTPClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_SILENCE_SECONDS", 0.05)
    release = threading.Event()
    outside.default = Reply(after=release)
    with pytest.raises(HTTPRequestError, match="no response in time") as error:
        _get(client, outside.url)
    release.set()
    assert not error.value.retryable


def test_no_time_is_left(outside: ScriptedServer, client: HTTPClient) -> None:
    with pytest.raises(HTTPRequestError, match="no time left"):
        _get(client, outside.url, -1.0)
    assert outside.received == []


def test_body_above_the_limit_is_not_read(
    outside: ScriptedServer, client: HTTPClient
) -> None:
    outside.default = Reply(body=b"x" * 1000)
    request = HTTPRequest("GET", outside.url)
    with client.send(request, seconds=PLENTY_SECONDS) as response:
        assert len(response.read(1000)) == 1000
    with (
        client.send(request, seconds=PLENTY_SECONDS) as response,
        pytest.raises(HTTPRequestError, match="too long") as error,
    ):
        response.read(999)
    assert not error.value.retryable


def test_limit_counts_what_a_body_is_decompressed_to(
    outside: ScriptedServer, client: HTTPClient
) -> None:
    body = gzip.compress(b"x" * 10_000_000)
    outside.default = Reply(body=body, headers={"Content-Encoding": "gzip"})
    with pytest.raises(HTTPRequestError, match="too long"):
        _get(client, outside.url)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(drop=True), "RemoteDisconnected: .*closed connection"),
        (Reply(body=b"half", announced=8), "IncompleteRead"),
        (
            Reply(body=b"no gzip", headers={"Content-Encoding": "gzip"}),
            "incorrect header check",
        ),
    ],
)
def test_response_that_breaks_off_may_be_retried(
    outside: ScriptedServer, client: HTTPClient, reply: Reply, reason: str
) -> None:
    outside.replies = [reply]
    with pytest.raises(HTTPRequestError, match=reason) as error:
        _get(client, outside.url)
    assert error.value.retryable
    assert len(outside.received) == 1


def test_refused_connection_is_reported_without_the_path(client: HTTPClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(HTTPRequestError, match="refused") as error:
        _get(client, f"http://127.0.0.1:{port}/secret?secret")
    assert "secret" not in str(error.value)
    assert error.value.retryable


@pytest.mark.parametrize(
    "url", ["ftp://example.org/secret", "http://[secret", "secret", "http:///secret"]
)
def test_invalid_url_is_not_quoted(client: HTTPClient, url: str) -> None:
    with pytest.raises(HTTPRequestError, match="URL or header is invalid") as error:
        _get(client, url)
    assert "secret" not in str(error.value)
    assert not error.value.retryable


def test_invalid_header_is_not_quoted(
    outside: ScriptedServer, client: HTTPClient
) -> None:
    request = HTTPRequest("GET", outside.url).authorized("secret\r\nX: y")
    with pytest.raises(HTTPRequestError, match="invalid") as error:
        client.send(request, seconds=PLENTY_SECONDS)
    assert "secret" not in str(error.value)
    assert "secret" not in repr(request)
    assert outside.received == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_left_to_the_caller(
    outside: ScriptedServer, client: HTTPClient, status: int
) -> None:
    location = f"{outside.url}/login"
    # Nor is its body read, which may be endless.
    outside.default = Reply(status, b"", {"Location": location}, announced=2**40)
    request = HTTPRequest("GET", outside.url).authorized("secret")
    with client.send(request, seconds=PLENTY_SECONDS) as response:
        assert (response.status, response.headers["Location"]) == (status, location)
    assert len(outside.received) == 1


def test_cookies_are_not_kept(outside: ScriptedServer, client: HTTPClient) -> None:
    outside.default = Reply(headers={"Set-Cookie": "session=rachel; Path=/"})
    for _ in range(2):
        _get(client, outside.url)
    assert "cookie" not in outside.received[1].headers


def test_environment_does_not_lead_elsewhere(
    outside: ScriptedServer, client: HTTPClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    _get(client, outside.url)
    assert len(outside.received) == 1


def test_environment_adds_no_credentials(
    outside: ScriptedServer,
    client: HTTPClient,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login rachel password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    _get(client, outside.url)
    assert "authorization" not in outside.received[0].headers


def test_many_requests_share_few_connections(
    outside: ScriptedServer, client: HTTPClient
) -> None:
    with ThreadPoolExecutor(100) as threads:
        list(threads.map(lambda _: _get(client, outside.url), range(300)))
    assert len(outside.received) == 300
    assert outside.most_connections <= MAX_IN_FLIGHT


def test_connection_is_used_again_after_a_complete_response(
    outside: ScriptedServer, client: HTTPClient
) -> None:
    outside.default = Reply(body=b"x" * 100_000)
    for _ in range(3):
        _get(client, outside.url)
    assert outside.most_connections == 1


def test_requests_in_flight_end_when_the_client_is_closed(
    outside: ScriptedServer, client: HTTPClient
) -> None:
    release = threading.Event()
    outside.default = Reply(after=release)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(_get, client, outside.url)
        outside.wait_received(1)
        client.close()
        with pytest.raises(HTTPRequestError, match="client was closed"):
            waiting.result(PLENTY_SECONDS)
    release.set()


def test_failures_do_not_use_up_connections(
    outside: ScriptedServer, eventually: Callable[[Callable[[], object]], None]
) -> None:
    client = HTTPClient(1, "test")
    too_long = Reply(body=b"x" * 2**22)
    outside.replies = [too_long, Reply(drop=True), Reply(drop=True), too_long]
    for _ in range(4):
        with pytest.raises(HTTPRequestError):
            _get(client, outside.url)
    assert _get(client, outside.url) == b""
    client.close()
    eventually(lambda: outside.connections == 0)


def test_deadlines_of_all_clients_share_one_thread(
    outside: ScriptedServer, client: HTTPClient
) -> None:
    other = HTTPClient(MAX_IN_FLIGHT, "other")
    for _ in range(10):
        _get(client, outside.url)
        _get(other, outside.url)
    other.close()
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("http-deadlines") == 1


def test_wait_for_other_requests_ends(outside: ScriptedServer) -> None:
    client = HTTPClient(1, "test")
    release = threading.Event()
    outside.replies = [Reply(after=release)]
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(_get, client, outside.url)
        outside.wait_received(1)
        with pytest.raises(HTTPRequestError, match="in flight") as error:
            _get(client, outside.url, 0.05)
        release.set()
        assert first.result() == b""
    assert not error.value.retryable


@pytest.fixture
def secure(certificate: Path) -> Iterator[ScriptedServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = ScriptedServer(context)
    server.start()
    yield server
    server.stop()


def test_certificate_of_an_unknown_issuer_is_refused(
    secure: ScriptedServer,
    client: HTTPClient,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What only some clients read makes no difference.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with pytest.raises(HTTPRequestError, match="CERTIFICATE_VERIFY_FAILED"):
        _get(client, secure.url)
    assert secure.received == []


def test_certificates_are_trusted_as_the_system_trusts_them(
    secure: ScriptedServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    client = HTTPClient(1, "test")
    secure.replies = [Reply(body=b"body"), Reply(body=b"x" * 10_000, slow_body=True)]
    assert _get(client, secure.url) == b"body"
    with pytest.raises(HTTPRequestError, match="response takes too long"):
        _get(client, secure.url, 0.5)
    client.close()
