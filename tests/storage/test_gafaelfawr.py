"""The client of Gafaelfawr."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import RemoteDisconnected

import pytest
import requests
from responses import RequestsMock
from structlog.testing import capture_logs
from urllib3.exceptions import ProtocolError

from nublado.exceptions import GafaelfawrError, InvalidTokenError
from nublado.models.domain.gafaelfawr import Group, NotebookQuota, UserInfo
from nublado.storage import gafaelfawr
from nublado.storage.gafaelfawr import GafaelfawrClient

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


URL = "https://data.example.org/auth/api/v1/user-info"

LOST = requests.ConnectionError(
    ProtocolError("Connection aborted.", RemoteDisconnected("Remote end closed"))
)


@pytest.fixture
def mock() -> Iterator[RequestsMock]:
    with RequestsMock() as mock:
        yield mock


@pytest.fixture
def client() -> Iterator[GafaelfawrClient]:
    client = GafaelfawrClient("https://data.example.org/")
    yield client
    client.close()


def test_token_is_exchanged_for_its_user(
    mock: RequestsMock, client: GafaelfawrClient
) -> None:
    mock.get(URL, RACHEL)
    assert client.user_info(TOKEN) == UserInfo(
        username="rachel",
        uid=1101,
        gid=1101,
        name="Rachel",
        groups=(Group("rachel", 1101), Group("no-gid-group")),
        notebook_quota=NotebookQuota(cpu=9.0, memory_gib=27.0, spawn=False),
    )
    (call,) = mock.calls
    assert call.request.headers["Authorization"] == f"bearer {TOKEN}"


def test_discovered_url_takes_the_place_of_the_base_url(mock: RequestsMock) -> None:
    known: list[str | None] = [None, "http://gafaelfawr.example.org/api/v1"]
    client = GafaelfawrClient("https://data.example.org", lambda: known.pop(0))
    mock.get(URL, RACHEL)
    mock.get("http://gafaelfawr.example.org/api/v1/user-info", RACHEL)
    assert client.user_info(TOKEN) == client.user_info(TOKEN)
    client.close()


@pytest.mark.parametrize("status", [401, 403])
def test_refused_token_is_invalid(
    mock: RequestsMock, client: GafaelfawrClient, status: int
) -> None:
    mock.get(URL, b"no", status=status)
    with pytest.raises(InvalidTokenError, match="User token is invalid"):
        client.user_info(TOKEN)
    assert len(mock.calls) == 1


@pytest.mark.usefixtures("mock")
@pytest.mark.parametrize("token", ["", "gt-a b", "gt-a\r\nX-Other: b", "gt-é"])
def test_what_cannot_be_a_token_is_not_sent(
    client: GafaelfawrClient, token: str
) -> None:
    with pytest.raises(InvalidTokenError):
        client.user_info(token)


@pytest.mark.parametrize(
    ("status", "body"), [(500, b""), (503, b"upstream"), (200, LOST)]
)
def test_passing_failure_is_overcome(
    mock: RequestsMock, client: GafaelfawrClient, status: int, body: bytes | Exception
) -> None:
    mock.get(URL, body, status=status)
    mock.get(URL, RACHEL)
    with capture_logs() as log:
        assert client.user_info(TOKEN).username == "rachel"
    assert [line["event"] for line in log] == ["Retrying Gafaelfawr request"]


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (502, b"Bad gateway", "responded with status 502: Bad gateway"),
        (
            200,
            LOST,
            "Request to Gafaelfawr failed: RemoteDisconnected: Remote end closed$",
        ),
    ],
)
def test_lasting_failure_is_retried_only_once(
    mock: RequestsMock,
    client: GafaelfawrClient,
    status: int,
    body: bytes | Exception,
    reason: str,
) -> None:
    mock.get(URL, body, status=status)
    with pytest.raises(GafaelfawrError, match=reason):
        client.user_info(TOKEN)
    assert len(mock.calls) == 2


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
    mock: RequestsMock,
    client: GafaelfawrClient,
    status: int,
    body: bytes,
    reason: str,
) -> None:
    mock.get(URL, body, status=status)
    with pytest.raises(GafaelfawrError, match=reason):
        client.user_info(TOKEN)
    assert len(mock.calls) == 1


def test_redirect_is_not_followed(mock: RequestsMock, client: GafaelfawrClient) -> None:
    location = "https://data.example.org/login"
    mock.get(URL, status=302, headers={"Location": location})
    with pytest.raises(GafaelfawrError, match=r"302, a redirect to .*/login"):
        client.user_info(TOKEN)


@pytest.mark.parametrize("token", [TOKEN, "other-kind-of-token"])
@pytest.mark.parametrize("status", [400, 500])
def test_error_never_shows_the_token(
    mock: RequestsMock, client: GafaelfawrClient, token: str, status: int
) -> None:
    mock.get(URL, f"what is {token} for?", status=status)
    with capture_logs() as log, pytest.raises(GafaelfawrError) as caught:
        client.user_info(token)
    assert "for?" in str(caught.value)
    assert token not in str(caught.value)
    assert token not in repr(log)


def test_request_is_not_retried_without_time(
    mock: RequestsMock, client: GafaelfawrClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gafaelfawr, "_TOTAL_SECONDS", 0.2)
    mock.get(URL, status=500)
    with pytest.raises(GafaelfawrError, match="no time left"):
        client.user_info(TOKEN)
    assert len(mock.calls) == 1
