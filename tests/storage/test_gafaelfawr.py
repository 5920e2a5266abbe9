"""The client of Gafaelfawr."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from nublado.exceptions import GafaelfawrError, InvalidTokenError
from nublado.models.domain.gafaelfawr import Group, NotebookQuota, UserInfo
from nublado.storage import gafaelfawr
from nublado.storage.gafaelfawr import GafaelfawrClient
from tests.scripted_server import Reply, ScriptedServer

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


LOST = Reply(drop=True)


@pytest.fixture
def client(outside: ScriptedServer) -> Iterator[GafaelfawrClient]:
    client = GafaelfawrClient(f"{outside.url}/")
    yield client
    client.close()


def test_token_is_exchanged_for_its_user(
    outside: ScriptedServer, client: GafaelfawrClient
) -> None:
    outside.default = Reply(body=RACHEL)
    assert client.user_info(TOKEN) == UserInfo(
        username="rachel",
        uid=1101,
        gid=1101,
        name="Rachel",
        groups=(Group("rachel", 1101), Group("no-gid-group")),
        notebook_quota=NotebookQuota(cpu=9.0, memory_gib=27.0, spawn=False),
    )
    (received,) = outside.received
    assert (received.method, received.path) == ("GET", "/auth/api/v1/user-info")
    assert received.headers["authorization"] == f"bearer {TOKEN}"


def test_discovered_url_takes_the_place_of_the_base_url(
    outside: ScriptedServer,
) -> None:
    known: list[str | None] = [None, f"{outside.url}/elsewhere/api/v1"]
    client = GafaelfawrClient(outside.url, lambda: known.pop(0))
    outside.default = Reply(body=RACHEL)
    assert client.user_info(TOKEN) == client.user_info(TOKEN)
    assert [received.path for received in outside.received] == [
        "/auth/api/v1/user-info",
        "/elsewhere/api/v1/user-info",
    ]
    client.close()


@pytest.mark.parametrize("status", [401, 403])
def test_refused_token_is_invalid(
    outside: ScriptedServer, client: GafaelfawrClient, status: int
) -> None:
    outside.default = Reply(status, b"no")
    with pytest.raises(InvalidTokenError, match="User token is invalid"):
        client.user_info(TOKEN)
    assert len(outside.received) == 1


@pytest.mark.parametrize("token", ["", "gt-a b", "gt-a\r\nX-Other: b", "gt-é"])
def test_what_cannot_be_a_token_is_not_sent(
    outside: ScriptedServer, client: GafaelfawrClient, token: str
) -> None:
    with pytest.raises(InvalidTokenError):
        client.user_info(token)
    assert outside.received == []


@pytest.mark.parametrize(
    "failure",
    [Reply(500), Reply(503, b"upstream"), LOST, Reply(body=b"{", announced=9)],
)
def test_passing_failure_is_overcome(
    outside: ScriptedServer, client: GafaelfawrClient, failure: Reply
) -> None:
    outside.replies = [failure]
    outside.default = Reply(body=RACHEL)
    with capture_logs() as log:
        assert client.user_info(TOKEN).username == "rachel"
    assert [line["event"] for line in log] == ["Retrying Gafaelfawr request"]


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (Reply(502, b"Bad gateway"), "responded with status 502: Bad gateway"),
        (LOST, "Request to Gafaelfawr failed: RemoteDisconnected: Remote end closed"),
    ],
)
def test_lasting_failure_is_retried_only_once(
    outside: ScriptedServer,
    client: GafaelfawrClient,
    failure: Reply,
    reason: str,
) -> None:
    outside.default = failure
    with pytest.raises(GafaelfawrError, match=reason):
        client.user_info(TOKEN)
    assert len(outside.received) == 2


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (404, b"Not here", "status 404: Not here"),
        (204, b"", "status 204$"),
        (200, b"<html>", "Cannot parse .*: Expecting value"),
        (200, b"\xff\xff", "Cannot parse .*decode"),
        (200, b'{"username": "rachel", "gid": 1}', "uid: Missing data"),
        (200, b"[]", "Cannot parse Gafaelfawr's response: "),
        (200, b"x" * 2**20 + b"x", "response is too long"),
    ],
)
def test_request_with_a_senseless_response_is_not_retried(
    outside: ScriptedServer,
    client: GafaelfawrClient,
    status: int,
    body: bytes,
    reason: str,
) -> None:
    outside.default = Reply(status, body)
    with pytest.raises(GafaelfawrError, match=reason):
        client.user_info(TOKEN)
    assert len(outside.received) == 1


def test_redirect_is_not_followed(
    outside: ScriptedServer, client: GafaelfawrClient
) -> None:
    location = "https://data.example.org/login"
    outside.default = Reply(302, headers={"Location": location})
    with pytest.raises(GafaelfawrError, match=r"302, a redirect to .*/login"):
        client.user_info(TOKEN)


@pytest.mark.parametrize("token", [TOKEN, "other-kind-of-token"])
@pytest.mark.parametrize("status", [400, 500])
def test_error_never_shows_the_token(
    outside: ScriptedServer, client: GafaelfawrClient, token: str, status: int
) -> None:
    outside.default = Reply(status, f"what is {token} for?".encode())
    with capture_logs() as log, pytest.raises(GafaelfawrError) as caught:
        client.user_info(token)
    assert "for?" in str(caught.value)
    assert token not in str(caught.value)
    assert token not in repr(log)


def test_request_is_not_retried_without_time(
    outside: ScriptedServer, client: GafaelfawrClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gafaelfawr, "_TOTAL_SECONDS", 0.2)
    outside.default = Reply(500)
    with pytest.raises(GafaelfawrError, match="no time left"):
        client.user_info(TOKEN)
    assert len(outside.received) == 1
