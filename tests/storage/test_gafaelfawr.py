from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from structlog.testing import capture_logs

from nublado.exceptions import GafaelfawrError, InvalidTokenError
from nublado.models.domain.gafaelfawr import Group, NotebookQuota, UserInfo
from nublado.storage import gafaelfawr, http
from nublado.storage.gafaelfawr import GafaelfawrClient
from tests.conftest import Answer, OutsideSystem

TOKEN = "gt-zeiL3gtFoOzdNDQJwCpZ9w.BTHmPVW2dX0BTxrK37Jv3g"

RACHEL = json.dumps(
    {
        "username": "rachel",
        "name": "Rachel",
        "uid": 1101,
        "gid": 1101,
        "groups": [{"name": "rachel", "id": 1101}, {"name": "no-gid-group"}],
        "quota": {"notebook": {"cpu": 9.0, "memory": 27, "spawn": False}},
        "something": "new",
    }
).encode()


@pytest.fixture
def client(outside: OutsideSystem) -> Iterator[GafaelfawrClient]:
    outside.default = Answer(body=RACHEL)
    client = GafaelfawrClient(outside.url + "/", pool_size=4)
    yield client
    client.close()


def test_token_is_exchanged_for_its_user(
    outside: OutsideSystem, client: GafaelfawrClient
) -> None:
    assert client.user_info(TOKEN) == UserInfo(
        username="rachel",
        uid=1101,
        gid=1101,
        name="Rachel",
        groups=(Group("rachel", 1101), Group("no-gid-group")),
        notebook_quota=NotebookQuota(cpu=9.0, memory_gib=27.0, spawn=False),
    )
    (request,) = outside.received
    assert (request.method, request.path) == ("GET", "/auth/api/v1/user-info")
    assert request.headers["authorization"] == f"bearer {TOKEN}"


@pytest.mark.parametrize("status", [401, 403])
def test_refused_token_is_invalid(
    outside: OutsideSystem, client: GafaelfawrClient, status: int
) -> None:
    outside.default = Answer(status, b"no")
    with pytest.raises(InvalidTokenError, match="User token is invalid"):
        client.user_info(TOKEN)
    assert len(outside.received) == 1


@pytest.mark.parametrize("token", ["", "gt-a b", "gt-a\r\nX-Other: b", "gt-é"])
def test_what_cannot_be_a_token_is_not_sent(
    outside: OutsideSystem, client: GafaelfawrClient, token: str
) -> None:
    with pytest.raises(InvalidTokenError):
        client.user_info(token)
    assert outside.received == []


@pytest.mark.parametrize(
    "failure", [Answer(500), Answer(503, b"upstream"), Answer(drop=True)]
)
def test_passing_failure_is_overcome(
    outside: OutsideSystem, client: GafaelfawrClient, failure: Answer
) -> None:
    outside.answers = [failure]
    with capture_logs() as log:
        assert client.user_info(TOKEN).username == "rachel"
    assert [line["event"] for line in log] == ["Asking Gafaelfawr again"]


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (Answer(502, b"Bad gateway"), "status 502: Bad gateway"),
        (Answer(drop=True), "cannot be asked: ProtocolError: .*closed connection"),
    ],
)
def test_lasting_failure_is_retried_only_once(
    outside: OutsideSystem, client: GafaelfawrClient, failure: Answer, reason: str
) -> None:
    outside.default = failure
    with pytest.raises(GafaelfawrError, match=reason):
        client.user_info(TOKEN)
    assert len(outside.received) == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(404, b"Not here"), "status 404: Not here"),
        (Answer(204), "status 204$"),
        (Answer(body=b"<html>"), "cannot be understood: Expecting value"),
        (Answer(body=b"\xff\xff"), "cannot be understood: .*decode"),
        (Answer(body=b'{"username": "rachel", "gid": 1}'), "uid: Missing data"),
        (Answer(body=b"[]"), "cannot be understood: "),
        (Answer(body=b"x" * 2**20 + b"x"), "answer is too long"),
    ],
)
def test_answer_that_makes_no_sense_is_not_asked_for_again(
    outside: OutsideSystem, client: GafaelfawrClient, answer: Answer, reason: str
) -> None:
    outside.default = answer
    with pytest.raises(GafaelfawrError, match=reason):
        client.user_info(TOKEN)
    assert len(outside.received) == 1


def test_redirect_is_not_followed(
    outside: OutsideSystem, client: GafaelfawrClient
) -> None:
    outside.default = Answer(302, headers={"Location": f"{outside.url}/login"})
    with pytest.raises(GafaelfawrError, match=r"302, a redirect to .*/login"):
        client.user_info(TOKEN)
    assert len(outside.received) == 1


@pytest.mark.parametrize("token", [TOKEN, "other-kind-of-token"])
@pytest.mark.parametrize("status", [400, 500])
def test_error_never_shows_the_token(
    outside: OutsideSystem, client: GafaelfawrClient, token: str, status: int
) -> None:
    outside.default = Answer(status, f"what is {token} for?".encode())
    with capture_logs() as log, pytest.raises(GafaelfawrError) as caught:
        client.user_info(token)
    assert "for?" in str(caught.value)
    assert token not in str(caught.value)
    assert token not in repr(log)


def test_unreachable_gafaelfawr_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    client = GafaelfawrClient(f"http://127.0.0.1:{port}")
    with pytest.raises(GafaelfawrError, match=r"cannot be asked: .*refused"):
        client.user_info(TOKEN)


def test_invalid_base_url_is_reported() -> None:
    with pytest.raises(GafaelfawrError, match="cannot be asked: URL is invalid"):
        GafaelfawrClient("ftp://data.example.org").user_info(TOKEN)


def test_slow_gafaelfawr_is_not_asked_twice(
    outside: OutsideSystem, client: GafaelfawrClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_READ_SECONDS", 0.05)
    release = threading.Event()
    outside.answers = [Answer(after=release)]
    with pytest.raises(GafaelfawrError, match="no answer in time"):
        client.user_info(TOKEN)
    release.set()
    assert len(outside.received) == 1


def test_answer_that_trickles_in_is_given_up(
    outside: OutsideSystem, client: GafaelfawrClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gafaelfawr, "_TOTAL_SECONDS", 0.1)
    outside.default = Answer(body=b"{" * 100, slowly=True)
    with pytest.raises(GafaelfawrError, match="answer takes too long"):
        client.user_info(TOKEN)


def test_no_time_is_left_for_a_second_request(
    outside: OutsideSystem, client: GafaelfawrClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gafaelfawr, "_TOTAL_SECONDS", 0.2)
    outside.default = Answer(500)
    with pytest.raises(GafaelfawrError, match="no time left"):
        client.user_info(TOKEN)
    assert len(outside.received) == 1


def test_users_share_no_cookies(
    outside: OutsideSystem, client: GafaelfawrClient
) -> None:
    cookie = {"Set-Cookie": "gafaelfawr=rachel; Path=/"}
    outside.answers = [Answer(body=RACHEL, headers=cookie)]
    client.user_info(TOKEN)
    client.user_info("gt-other.token")
    assert "cookie" not in outside.received[1].headers


def test_environment_does_not_lead_elsewhere(
    client: GafaelfawrClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert client.user_info(TOKEN).username == "rachel"


def test_many_requests_share_few_connections(
    outside: OutsideSystem, client: GafaelfawrClient
) -> None:
    with ThreadPoolExecutor(100) as threads:
        found = list(threads.map(client.user_info, [TOKEN] * 300))
    assert len(found) == len(outside.received) == 300
    assert outside.most_connections <= 4


def test_failures_do_not_use_up_connections(
    outside: OutsideSystem, eventually: Callable[[Callable[[], object]], None]
) -> None:
    client = GafaelfawrClient(outside.url, pool_size=1)
    too_long = Answer(body=b"x" * 2**22)
    outside.answers = [too_long, Answer(drop=True), Answer(drop=True), too_long]
    for _ in range(3):
        with pytest.raises(GafaelfawrError):
            client.user_info(TOKEN)
    outside.default = Answer(body=RACHEL)
    assert client.user_info(TOKEN).username == "rachel"
    client.close()
    eventually(lambda: outside.connections == 0)


def test_wait_for_a_connection_ends(
    outside: OutsideSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = GafaelfawrClient(outside.url, pool_size=1)
    release = threading.Event()
    outside.answers = [Answer(body=RACHEL, after=release)]
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(client.user_info, TOKEN)
        outside.wait_received(1)
        monkeypatch.setattr(gafaelfawr, "_TOTAL_SECONDS", 0.05)
        with pytest.raises(GafaelfawrError, match="no free connection"):
            client.user_info(TOKEN)
        release.set()
        assert first.result().username == "rachel"
