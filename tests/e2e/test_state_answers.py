"""The state of labs, which the main loop answers by itself."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
import requests

from nublado.sandbox.stack import Stack
from tests.e2e.users import SECONDS, User

_CHANGING = ("Date", "X-Request-ID")


@pytest.fixture
def lab(user: User) -> User:
    """A user whose lab runs."""
    assert user.spawn().kinds[-1] == "complete"
    return user


def _get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=SECONDS)


def _shown(response: requests.Response) -> tuple[int, dict[str, str], bytes]:
    headers = {k: v for k, v in response.headers.items() if k not in _CHANGING}
    return response.status_code, headers, response.content


def test_quick_answer_is_that_of_the_framework(lab: User) -> None:
    quick = lab.state()
    assert quick.json()["status"] == "running"
    # These take the long way.
    for other in (
        lab.user_status(),
        _get(f"{lab.lab}?query"),
        requests.request("GET", lab.lab, data=b"body", timeout=SECONDS),
    ):
        assert _shown(other) == _shown(quick)
    head = requests.head(lab.lab, timeout=SECONDS)
    assert _shown(head) == (*_shown(quick)[:2], b"")


def test_answer_follows_the_lab(user: User) -> None:
    assert user.state().status_code == 404
    user.create().raise_for_status()
    assert user.state().json()["status"] in ("pending", "running")
    user.follow().ended.wait(SECONDS)
    assert user.state().json()["status"] == "running"
    assert user.name in _get(user.lab.rpartition("/")[0]).json()
    assert user.delete().status_code == 204
    answer = user.state()
    assert answer.status_code == 404
    assert answer.json()["detail"][0]["type"] == "unknown_user"
    assert user.name not in _get(user.lab.rpartition("/")[0]).json()


def test_request_has_an_id(lab: User) -> None:
    given = _get(lab.lab, **{"X-Request-ID": "from-the-hub"})
    assert given.headers["X-Request-ID"] == "from-the-hub"
    made = _get(lab.lab, **{"X-Request-ID": "no id!"}).headers["X-Request-ID"]
    assert made
    assert made not in ("no id!", _get(lab.lab).headers["X-Request-ID"])


def test_what_only_looks_like_a_user_is_none(lab: User) -> None:
    for name in (
        "",
        "..",
        "%2e%2e",
        lab.name.upper(),
        f"{lab.name}%00",
        f"{lab.name};",
    ):
        url = f"{lab.lab.rpartition('/')[0]}/{name}"
        sent = requests.Request("GET", url).prepare()
        sent.url = url
        with requests.Session() as session:
            answer = session.send(sent, timeout=SECONDS, allow_redirects=False)
        assert answer.status_code in (308, 404), name


def _count(stack: Stack, route: str) -> float:
    labels = f'{{method="GET",route="{route}",status="200"}}'
    name = "nublado_request_duration_seconds_count"
    for line in _get(f"{stack.service.url}/metrics").text.splitlines():
        if line.startswith(f"{name}{labels} "):
            return float(line.rpartition(" ")[2])
    return 0.0


def test_answers_are_counted(stack: Stack, lab: User) -> None:
    route = f"{stack.config.path_prefix}/spawner/v1/labs/<username>"
    before = _count(stack, route)
    for _ in range(3):
        assert lab.state().ok
    # The long way is counted as the same.
    assert _get(f"{lab.lab}?query").ok
    assert _count(stack, route) >= before + 4


def _answers(client: socket.socket, number: int) -> list[bytes]:
    """Read so many answers, and split them."""
    received = b""
    while received.count(b"HTTP/1.1 ") < number or not received.endswith(b"}\n"):
        data = client.recv(65536)
        assert data, received
        received += data
    return received.split(b"HTTP/1.1 ")[1:]


def test_many_questions_on_one_connection_are_answered_in_order(
    stack: Stack, lab: User
) -> None:
    path = urlsplit(lab.lab).path
    unknown = f"GET {path}-x HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    known = f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    address = ("127.0.0.1", stack.service.port)
    with socket.create_connection(address, SECONDS) as client:
        # All at once, so that most come in before the first is answered.
        client.sendall(known * 1500 + unknown + known)
        answers = _answers(client, 1502)
        statuses = [answer[:3] for answer in answers]
        assert statuses == [b"200"] * 1500 + [b"404", b"200"]
        # One after the other, and in pieces.
        for request, status in ((known, b"200"), (unknown, b"404"), (known, b"200")):
            for part in (request[:9], request[9:-1], request[-1:]):
                client.sendall(part)
            (answer,) = _answers(client, 1)
            assert answer.startswith(status)


def test_connection_ends_when_its_client_wants_that(stack: Stack, lab: User) -> None:
    path = urlsplit(lab.lab).path
    address = ("127.0.0.1", stack.service.port)
    for line in ("HTTP/1.1\r\nHost: a\r\nConnection: close", "HTTP/1.0"):
        with socket.create_connection(address, SECONDS) as client:
            client.sendall(f"GET {path} {line}\r\n\r\n".encode())
            received = b""
            while data := client.recv(65536):
                received += data
        assert received[8:].startswith(b" 200 OK\r\n")
        assert b"\r\nConnection: close\r\n" in received
        assert received.endswith(b"}\n")


def test_malformed_question_is_refused(stack: Stack, lab: User) -> None:
    path = urlsplit(lab.lab).path
    with socket.create_connection(("127.0.0.1", stack.service.port), SECONDS) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nno header\r\n\r\n".encode())
        assert client.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert lab.state().ok
