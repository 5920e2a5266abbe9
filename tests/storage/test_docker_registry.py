"""The client of Docker registries."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from structlog.testing import capture_logs

from nublado.config.model import DockerSourceConfig
from nublado.exceptions import (
    DockerRegistryError,
    OperationCancelledError,
    OperationTimeoutError,
)
from nublado.storage.docker import DockerRegistryClient
from nublado.timeout import Cancellation, Timeout

_DIGEST = f"sha256:{'a' * 64}"
_TAGS = "/v2/lab/tags/list"
_PASSWORD = "hunter2-secret"
_BASIC = "Basic " + base64.b64encode(f"puller:{_PASSWORD}".encode()).decode()

MakeClient = Callable[..., DockerRegistryClient]


def _timeout(seconds: float = 10.0) -> Timeout:
    return Timeout("Test", seconds)


def _manifest(tag: str) -> str:
    return f"/v2/lab/manifests/{tag}"


@pytest.fixture
def make_client(registry: Any, tmp_path: Path) -> Iterator[MakeClient]:
    clients = []

    def make(
        name: str | None = None,
        repository: str = "lab",
        mirrors: dict[str, str] | None = None,
        credentials_for: str | None = None,
    ) -> DockerRegistryClient:
        path = tmp_path / "config.json"
        if credentials_for:
            auth = _BASIC.removeprefix("Basic ")
            path.write_text(json.dumps({"auths": {credentials_for: {"auth": auth}}}))
        config = DockerSourceConfig(
            repository=repository,
            registry=name or registry.host,
            credentials_path=path,
        )
        clients.append(DockerRegistryClient(config, mirrors))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


# --- Tags and digests ----------------------------------------------------


def test_tags_are_collected_from_all_pages(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    pages = [["a", "b"], ["c"], None]
    following = [
        f'<{_TAGS}?last=b&n=2>; rel="next"',
        f'<x>; rel="prev", <https://{registry.host}{_TAGS}?last=c>; rel=next',
    ]
    registry.on(
        _TAGS,
        reply.json({"tags": pages[0]}, Link=following[0]),
        reply.json({"tags": pages[1]}, Link=following[1]),
        reply.json({"tags": pages[2]}),
    )
    assert make_client().tags(_timeout()) == ["a", "b", "c"]
    targets = [received.target for received in registry.received]
    assert targets == [_TAGS, f"{_TAGS}?last=b&n=2", f"{_TAGS}?last=c"]


@pytest.mark.parametrize(
    "link", ["<https://evil.test/v2/lab/tags/list>", "<//evil.test/next>"]
)
def test_page_on_another_host_is_refused(
    registry: Any, reply: Any, make_client: MakeClient, link: str
) -> None:
    registry.on(_TAGS, reply.json({"tags": ["a"]}, Link=f'{link}; rel="next"'))
    with pytest.raises(DockerRegistryError, match="another host"):
        make_client().tags(_timeout())


def test_page_without_a_valid_url_is_refused(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    registry.on(_TAGS, reply.json({"tags": ["a"]}, Link="<http://[>; rel=next"))
    with pytest.raises(DockerRegistryError, match="no valid URL"):
        make_client().tags(_timeout())


def test_pages_in_a_circle_are_noticed(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    link = f'<{_TAGS}?last=a>; rel="next"'
    registry.on(_TAGS, reply.json({"tags": ["a"]}, Link=link))
    with pytest.raises(DockerRegistryError, match="no end"):
        make_client().tags(_timeout())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"tags": 5}',
        b'{"tags": {"a": "b"}}',
        b'{"tags": ["a"]',
        b'{"x": {"tags": []}}',
    ],
)
def test_tags_that_cannot_be_parsed_are_an_error(
    registry: Any, reply: Any, make_client: MakeClient, body: bytes
) -> None:
    registry.on(_TAGS, reply(body=body))
    with pytest.raises(DockerRegistryError, match="the response"):
        make_client().tags(_timeout())


def test_unknown_repository_is_an_error(registry: Any, make_client: MakeClient) -> None:
    with pytest.raises(DockerRegistryError) as error:
        make_client().tags(_timeout())
    assert str(error.value) == (f"Cannot list tags in {registry.host}/lab: status 404")


def test_digest_is_requested_with_all_types_of_manifests(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    registry.on(_manifest("w_1"), reply(headers={"Docker-Content-Digest": _DIGEST}))
    client = make_client()
    assert client.digest("w_1", _timeout()) == _DIGEST
    assert client.digest("missing", _timeout()) is None
    received = registry.received[0]
    assert received.method == "HEAD"
    assert received.headers["Accept"].split(", ") == [
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
    ]


def test_digest_itself_can_be_looked_up(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    registry.on(_manifest(_DIGEST), reply(headers={"Docker-Content-Digest": _DIGEST}))
    assert make_client().digest(_DIGEST, _timeout()) == _DIGEST


_MANIFEST = b'{"schemaVersion": 2, "config": {}}'
_COMPUTED = f"sha256:{hashlib.sha256(_MANIFEST).hexdigest()}"


@pytest.mark.parametrize("status", [404, 405, 501])
def test_manifest_is_requested_where_head_is_not_offered(
    registry: Any, reply: Any, make_client: MakeClient, status: int
) -> None:
    def respond(received: Any) -> Any:
        if received.method == "HEAD":
            return reply(status)
        return reply(headers={"Docker-Content-Digest": _DIGEST}, body=b"x")

    registry.on(_manifest("w_1"), respond)
    client = make_client()
    assert client.digest("w_1", _timeout()) == _DIGEST
    head, get = registry.received
    assert get.method == "GET"
    assert get.headers["Accept"] == head.headers["Accept"]
    assert client.report.digests == {"w_1": "GET"}


@pytest.mark.parametrize("headers", [{}, {"Docker-Content-Digest": "nonsense"}])
def test_digest_is_computed_where_no_header_has_it(
    registry: Any, reply: Any, make_client: MakeClient, headers: dict[str, str]
) -> None:
    registry.on(_manifest("w_1"), reply(headers=headers, body=_MANIFEST))
    client = make_client()
    assert client.digest("w_1", _timeout()) == _COMPUTED
    assert client.report.digests == {"w_1": "the manifest itself"}


def test_tag_is_gone_only_if_get_says_so(
    registry: Any, make_client: MakeClient
) -> None:
    assert make_client().digest("w_1", _timeout()) is None
    assert [r.method for r in registry.received] == ["HEAD", "GET"]


@pytest.mark.parametrize("status", [400, 403, 405, 418])
def test_manifest_that_cannot_be_read_is_an_error(
    registry: Any, reply: Any, make_client: MakeClient, status: int
) -> None:
    registry.on(
        _manifest("w_1"),
        lambda r: reply(405) if r.method == "HEAD" else reply(status),
    )
    with pytest.raises(DockerRegistryError, match=f"digest of w_1 .* {status}"):
        make_client().digest("w_1", _timeout())


def test_at_most_16_digests_are_looked_up_at_a_time(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    names = [f"w_{number}" for number in range(40)]
    all_busy = threading.Event()

    def respond(_: object) -> Any:
        if registry.busy >= 16:
            all_busy.set()
        all_busy.wait(5)
        return reply(headers={"Docker-Content-Digest": _DIGEST})

    for name in names:
        registry.on(_manifest(name), respond)
    found = make_client().digests(names, Timeout("Test", 60))
    assert found == dict.fromkeys(names, _DIGEST)
    assert registry.most_busy == 16
    assert len(registry.received) == 40


def test_tag_that_fails_is_left_out_and_one_that_is_gone_is_none(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    registry.on(_manifest("good"), reply(headers={"Docker-Content-Digest": _DIGEST}))
    registry.on(_manifest("bad"), reply(403))
    found = make_client().digests(["good", "bad", "gone"], _timeout())
    assert found == {"good": _DIGEST, "gone": None}


def test_registry_that_fails_for_all_tags_leaves_them_without_digest(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    for name in ("a", "b"):
        registry.on(_manifest(name), reply(403))
    client = make_client()
    assert client.digests(["a", "b"], _timeout()) == {}
    assert set(client.report.failed) == {"a", "b"}
    assert "status 403" in client.report.failed["a"]


# --- Retries -------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_request_to_overloaded_registry_is_retried(
    registry: Any, reply: Any, make_client: MakeClient, status: int
) -> None:
    registry.on(_TAGS, reply(status), reply.json({"tags": ["a"]}))
    assert make_client().tags(_timeout()) == ["a"]
    assert registry.count(_TAGS) == 2


def test_request_on_lost_connection_is_retried(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    registry.on(_TAGS, reply(drop=True), reply.json({"tags": ["a"]}))
    assert make_client().tags(_timeout()) == ["a"]


def test_registry_says_when_to_retry(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    registry.on(_TAGS, reply(429, {"Retry-After": "1"}), reply.json({"tags": ["a"]}))
    began = time.monotonic()
    assert make_client().tags(_timeout()) == ["a"]
    assert time.monotonic() - began >= 1.0


@pytest.mark.parametrize("as_date", [True, False])
def test_registry_that_wants_more_patience_than_there_is_is_an_error(
    registry: Any, reply: Any, make_client: MakeClient, as_date: bool
) -> None:
    when = datetime.now(UTC) + timedelta(hours=1)
    text = format_datetime(when, usegmt=True) if as_date else "3600"
    registry.on(_TAGS, reply(429, {"Retry-After": text}))
    began = time.monotonic()
    with pytest.raises(DockerRegistryError, match="status 429"):
        make_client().tags(_timeout())
    assert time.monotonic() - began < 2.0
    assert registry.count(_TAGS) == 1


def test_token_service_says_when_to_retry(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    registry.on("/token", reply(429, {"Retry-After": "3600"}))
    _protect(registry, reply, lambda: "Bearer t1", _bearer(registry.host))
    with pytest.raises(DockerRegistryError, match="token service responds with 429"):
        make_client().tags(_timeout())
    assert registry.count("/token") == 1


def test_unreadable_retry_after_is_ignored(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    registry.on(_TAGS, reply(503, {"Retry-After": "soon"}), reply.json({"tags": ["a"]}))
    assert make_client().tags(_timeout()) == ["a"]


def test_retries_end_with_the_time(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    registry.on(_TAGS, reply(503))
    with pytest.raises((DockerRegistryError, OperationTimeoutError)):
        make_client().tags(_timeout(1.0))


def test_retries_can_be_cancelled(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    cancellation = Cancellation()

    def respond(_: object) -> Any:
        cancellation.cancel()
        return reply(503, {"Retry-After": "60"})

    registry.on(_TAGS, respond)
    with pytest.raises(OperationCancelledError):
        make_client().tags(Timeout("Test", 600, cancellation))


def test_request_that_fails_because_of_a_cancellation_is_no_failure_of_the_registry(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    cancellation = Cancellation()

    def respond(_: object) -> Any:
        cancellation.cancel()
        return reply(drop=True)

    registry.on(_TAGS, respond)
    with pytest.raises(OperationCancelledError):
        make_client().tags(Timeout("Test", 600, cancellation))


@pytest.mark.parametrize("status", [400, 403, 405])
def test_refusal_is_not_retried(
    registry: Any, reply: Any, make_client: MakeClient, status: int
) -> None:
    registry.on(_TAGS, reply(status))
    with pytest.raises(DockerRegistryError, match=f"status {status}"):
        make_client().tags(_timeout())
    assert registry.count(_TAGS) == 1


# --- Authentication ------------------------------------------------------


def _protect(registry: Any, reply: Any, wanted: Callable[[], str], how: str) -> None:
    """Let only requests with an authorization list the tags."""

    def respond(received: Any) -> Any:
        if received.authorization != wanted():
            return reply(401, {"WWW-Authenticate": how})
        return reply.json({"tags": ["a"]})

    registry.on(_TAGS, respond)


def _bearer(host: str) -> str:
    realm = f"https://{host}/token"
    return f'Bearer realm="{realm}",service="registry",scope="repository:lab:pull"'


def test_basic_authentication_is_remembered(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    _protect(registry, reply, lambda: _BASIC, 'Basic realm="registry"')
    client = make_client(credentials_for=registry.host)
    for _ in range(2):
        assert client.tags(_timeout()) == ["a"]
    sent = [received.authorization for received in registry.received]
    assert sent == [None, _BASIC, _BASIC]


def test_new_password_is_read_when_the_old_one_is_refused(
    registry: Any, reply: Any, make_client: MakeClient, tmp_path: Path
) -> None:
    wanted = [_BASIC]
    _protect(registry, reply, lambda: wanted[0], 'Basic realm="registry"')
    client = make_client(credentials_for=registry.host)
    client.tags(_timeout())
    entry = {"username": "puller", "password": "new"}
    auths = {registry.host: entry}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    wanted[0] = "Basic " + base64.b64encode(b"puller:new").decode()
    assert client.tags(_timeout()) == ["a"]


def test_without_credentials_a_refusal_is_an_error(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    _protect(registry, reply, lambda: _BASIC, 'Basic realm="registry"')
    with pytest.raises(DockerRegistryError, match="status 401"):
        make_client().tags(_timeout())
    assert registry.count(_TAGS) == 1


@pytest.mark.parametrize("key", ["token", "access_token"])
def test_token_is_fetched_and_remembered(
    registry: Any, reply: Any, make_client: MakeClient, key: str
) -> None:
    registry.on("/token", reply.json({key: "t1", "expires_in": 300}))
    _protect(registry, reply, lambda: "Bearer t1", _bearer(registry.host))
    client = make_client(credentials_for=registry.host)
    for _ in range(2):
        assert client.tags(_timeout()) == ["a"]
    assert registry.count("/token") == 1
    token = next(
        received for received in registry.received if received.path == "/token"
    )
    assert token.authorization == _BASIC
    assert token.target == "/token?scope=repository%3Alab%3Apull&service=registry"


def test_token_can_be_fetched_anonymously(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    registry.on("/token", reply.json({"token": "t1"}))
    challenge = f'Bearer realm="https://{registry.host}/token?a=b"'
    _protect(registry, reply, lambda: "Bearer t1", challenge)
    assert make_client().tags(_timeout()) == ["a"]
    token = next(
        received for received in registry.received if received.path == "/token"
    )
    assert token.authorization is None
    assert token.target == "/token?a=b&scope=repository%3Alab%3Apull"


def test_token_that_has_expired_is_not_sent(
    registry: Any,
    reply: Any,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens = iter(["t1", "t2"])
    current = [""]

    def grant(_: object) -> Any:
        current[0] = next(tokens)
        return reply.json({"token": current[0], "expires_in": 300})

    registry.on("/token", grant)
    _protect(registry, reply, lambda: f"Bearer {current[0]}", _bearer(registry.host))
    client = make_client()
    client.tags(_timeout())
    registry.received.clear()
    later = time.monotonic() + 296.0
    monkeypatch.setattr("nublado.storage.docker_auth.time.monotonic", lambda: later)
    assert client.tags(Timeout("Test", 10)) == ["a"]
    sent = [
        received.authorization
        for received in registry.received
        if received.path == _TAGS
    ]
    assert sent == [None, "Bearer t2"]


def test_token_that_is_refused_is_replaced_once(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    registry.on(
        "/token",
        reply.json({"token": "t1", "expires_in": 300}),
        reply.json({"token": "t2", "expires_in": 300}),
    )
    wanted = ["Bearer t1"]
    _protect(registry, reply, lambda: wanted[0], _bearer(registry.host))
    client = make_client()
    client.tags(_timeout())
    wanted[0] = "Bearer t2"
    assert client.tags(_timeout()) == ["a"]
    assert registry.count("/token") == 2
    wanted[0] = "Bearer unknown"
    with pytest.raises(DockerRegistryError, match="status 401"):
        client.tags(_timeout())
    assert registry.count("/token") == 3


def test_request_to_overloaded_token_service_is_retried(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    registry.on("/token", reply(503), reply.json({"token": "t1"}))
    _protect(registry, reply, lambda: "Bearer t1", _bearer(registry.host))
    assert make_client().tags(_timeout()) == ["a"]


@pytest.mark.parametrize(
    "respond",
    [b"", b"[]", b"{}", b'{"token": 5}', b'{"token": "a\\nb"}', b'{"token": ""}'],
)
def test_token_that_cannot_be_parsed_is_an_error(
    registry: Any, reply: Any, make_client: MakeClient, respond: bytes
) -> None:
    registry.on("/token", reply(body=respond))
    _protect(registry, reply, lambda: "Bearer t1", _bearer(registry.host))
    with pytest.raises(DockerRegistryError, match="Cannot parse token"):
        make_client().tags(_timeout())


def test_token_service_may_redirect_nobody(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    registry.on("/token", reply(302, {"Location": f"https://{registry.host}/other"}))
    _protect(registry, reply, lambda: "Bearer t1", _bearer(registry.host))
    with pytest.raises(DockerRegistryError, match=r"No token .* status 302"):
        make_client(credentials_for=registry.host).tags(_timeout())
    assert registry.count("/other") == 0


@pytest.mark.parametrize(
    "realm",
    ["https://evil.test/token", "file:///etc/passwd", "http://[", "", "http://a.org"],
)
def test_foreign_token_service_gets_nothing(
    registry: Any, reply: Any, make_client: MakeClient, realm: str
) -> None:
    _protect(registry, reply, lambda: _BASIC, f'Bearer realm="{realm}"')
    client = make_client(credentials_for=registry.host)
    with pytest.raises(DockerRegistryError, match="not trusted") as error:
        client.tags(_timeout())
    assert _PASSWORD not in str(error.value)
    assert len(registry.received) == 1


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        pytest.param(400, {}, id="ECR Public"),
        pytest.param(401, {}, id="Nexus"),
        pytest.param(403, {}, id="ECR"),
    ],
)
def test_token_refused_without_a_challenge_is_replaced(
    registry: Any,
    reply: Any,
    make_client: MakeClient,
    status: int,
    headers: dict[str, str],
) -> None:
    registry.on("/token", reply.json({"token": "t1"}), reply.json({"token": "t2"}))
    wanted = ["Bearer t1"]

    def respond(received: Any) -> Any:
        if received.authorization is None:
            return reply(401, {"WWW-Authenticate": _bearer(registry.host)})
        if received.authorization != wanted[0]:
            return reply(status, headers)
        return reply.json({"tags": ["a"]})

    registry.on(_TAGS, respond)
    client = make_client()
    client.tags(_timeout())
    wanted[0] = "Bearer t2"
    registry.received.clear()
    assert client.tags(_timeout()) == ["a"]
    sent = [r.authorization for r in registry.received if r.path == _TAGS]
    assert sent == ["Bearer t1", None, "Bearer t2"]
    assert registry.count("/token") == 1


def test_ecr_password_that_was_rotated_is_read_again(
    registry: Any, reply: Any, make_client: MakeClient, tmp_path: Path
) -> None:
    wanted = [_BASIC]

    def respond(received: Any) -> Any:
        if received.authorization is None:
            return reply(401, {"WWW-Authenticate": 'Basic realm="x",service="ecr"'})
        if received.authorization != wanted[0]:
            return reply(403)
        return reply(headers={"Docker-Content-Digest": _DIGEST})

    registry.on(_manifest("w_1"), respond)
    client = make_client(credentials_for=registry.host)
    assert client.digest("w_1", _timeout()) == _DIGEST
    wanted[0] = "Basic " + base64.b64encode(b"AWS:new").decode()
    auths = {registry.host: {"username": "AWS", "password": "new"}}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    assert client.digest("w_1", _timeout()) == _DIGEST


def test_changed_file_is_used_before_the_old_password_is_refused(
    registry: Any, reply: Any, make_client: MakeClient, tmp_path: Path
) -> None:
    def respond(received: Any) -> Any:
        if received.authorization is None:
            return reply(401, {"WWW-Authenticate": "Basic realm=a"})
        return reply.json({"tags": ["a"]})

    registry.on(_TAGS, respond)
    client = make_client(credentials_for=registry.host)
    client.tags(_timeout())
    auths = {registry.host: {"username": "AWS", "password": "new"}}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    client.tags(_timeout())
    new = "Basic " + base64.b64encode(b"AWS:new").decode()
    assert registry.received[-1].authorization == new


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(401, id="Docker Hub"),
        pytest.param(403, id="GHCR"),
        pytest.param(400, id="GitLab"),
    ],
)
def test_expired_credentials_on_a_public_repository_fall_back_to_anonymous(
    registry: Any, reply: Any, make_client: MakeClient, status: int
) -> None:
    def grant(received: Any) -> Any:
        return reply(status) if received.authorization else reply.json({"token": "t1"})

    registry.on("/token", grant)
    _protect(registry, reply, lambda: "Bearer t1", _bearer(registry.host))
    client = make_client(credentials_for=registry.host)
    with capture_logs() as log:
        assert client.tags(_timeout()) == ["a"]
    (warning,) = [line for line in log if line["log_level"] == "warning"]
    assert warning["event"] == "Registry refuses credentials, trying without"
    assert (warning["key"], warning["status"]) == (registry.host, status)
    assert client.report.credentials is None
    assert client.report.refused == {registry.host: status}


def test_token_without_rights_on_a_public_repository_falls_back_to_anonymous(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    def grant(received: Any) -> Any:
        return reply.json({"token": "own" if received.authorization else "public"})

    registry.on("/token", grant)
    _protect(registry, reply, lambda: "Bearer public", _bearer(registry.host))
    client = make_client(credentials_for=registry.host)
    assert client.tags(_timeout()) == ["a"]
    assert client.report.refused == {registry.host: 401}


def test_error_names_the_credentials_that_were_refused(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    registry.on("/token", reply(401))
    _protect(registry, reply, lambda: "Bearer t1", _bearer(registry.host))
    client = make_client(credentials_for=registry.host)
    with pytest.raises(DockerRegistryError) as error:
        client.tags(_timeout())
    assert f"the credentials of {registry.host} (status 401)" in str(error.value)
    assert _PASSWORD not in str(error.value)


def test_next_credentials_are_tried_as_the_kubelet_does(
    registry: Any, reply: Any, make_client: MakeClient, tmp_path: Path
) -> None:
    auths = {
        registry.host: {"username": "puller", "password": _PASSWORD},
        f"{registry.host}/lab": {"username": "other", "password": "old"},
    }
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    _protect(registry, reply, lambda: _BASIC, "Basic realm=a")
    client = make_client()
    assert client.tags(_timeout()) == ["a"]
    assert client.report.credentials == registry.host
    assert client.report.refused == {f"{registry.host}/lab": 401}


def test_path_decides_between_credentials_of_one_host(
    registry: Any, reply: Any, make_client: MakeClient, tmp_path: Path
) -> None:
    auths = {
        f"{registry.host}/a": {"username": "puller", "password": _PASSWORD},
        f"{registry.host}/b": {"username": "other", "password": "other"},
    }
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    registry.on(
        "/v2/a/lab/tags/list",
        lambda r: (
            reply.json({"tags": ["a"]})
            if r.authorization == _BASIC
            else reply(401, {"WWW-Authenticate": "Basic realm=a"})
        ),
    )
    client = make_client(repository="a/lab")
    assert client.tags(_timeout()) == ["a"]
    assert client.report.credentials == f"{registry.host}/a"
    assert client.report.refused == {}


def test_identity_token_is_exchanged_as_azure_wants_it(
    registry: Any, reply: Any, make_client: MakeClient, tmp_path: Path
) -> None:
    auths = {registry.host: {"auth": "MDAwOg==", "identitytoken": "identity"}}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    registry.on("/token", reply.json({"access_token": "t1"}))
    _protect(registry, reply, lambda: "Bearer t1", _bearer(registry.host))
    assert make_client().tags(_timeout()) == ["a"]
    token = next(r for r in registry.received if r.path == "/token")
    assert token.method == "POST"
    assert parse_qs(token.body) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["identity"],
        "service": ["registry"],
        "scope": ["repository:lab:pull"],
        "client_id": ["nublado"],
    }


def test_registry_token_is_sent_to_the_registry(
    registry: Any, reply: Any, make_client: MakeClient, tmp_path: Path
) -> None:
    auths = {registry.host: {"registrytoken": "t1"}}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    _protect(registry, reply, lambda: "Bearer t1", _bearer(registry.host))
    assert make_client().tags(_timeout()) == ["a"]
    assert registry.count("/token") == 0


def test_credentials_that_cannot_be_used_are_reported_once_at_the_start(
    registry: Any, reply: Any, make_client: MakeClient, tmp_path: Path
) -> None:
    config = {"auths": {f"https://{registry.host}": {}}, "credsStore": "desktop"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    registry.on(_TAGS, reply.json({"tags": ["a"]}))
    client = make_client()
    with capture_logs() as log:
        for _ in range(2):
            assert client.tags(_timeout()) == ["a"]
    (warning,) = log
    assert warning["event"] == "Cannot use registry credentials"
    assert warning["key"] == f"https://{registry.host}"
    assert "docker-credential-desktop" in warning["reason"]
    assert set(client.report.unusable) == {f"https://{registry.host}"}


@pytest.mark.parametrize("content", ["", "[]", "{nonsense", '"hunter2-secret"'])
def test_unreadable_credentials_are_an_error_that_does_not_quote_them(
    registry: Any,
    reply: Any,
    make_client: MakeClient,
    tmp_path: Path,
    content: str,
) -> None:
    _protect(registry, reply, lambda: _BASIC, "Basic realm=a")
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(DockerRegistryError, match="not a Docker config") as error:
        make_client().tags(_timeout())
    assert _PASSWORD not in str(error.value)


@pytest.mark.parametrize("content", ["", "[]", "{nonsense"])
def test_unreadable_credentials_do_not_matter_where_none_are_needed(
    registry: Any, reply: Any, make_client: MakeClient, tmp_path: Path, content: str
) -> None:
    registry.on(_TAGS, reply.json({"tags": ["a"]}))
    (tmp_path / "config.json").write_text(content)
    with capture_logs() as log:
        assert make_client().tags(_timeout()) == ["a"]
    assert [line["event"] for line in log] == ["Cannot read registry credentials"]


# --- Long lists ----------------------------------------------------------


def test_plain_list_of_40000_tags_is_read(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    names = [f"d_{n:05}_and_some_more_of_a_name" for n in range(40_000)]
    registry.on(_TAGS, reply.json({"name": "lab", "tags": names}))
    client = make_client()
    assert client.tags(Timeout("Test", 120)) == names
    assert (client.report.pages, client.report.tags) == (1, 40_000)


def test_memory_is_in_proportion_to_the_tags_not_to_what_google_adds(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    names = [f"w_{n:04}" for n in range(5_000)]
    manifests = {
        f"sha256:{n:064x}": {
            "imageSizeBytes": "3500000000",
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "layerId": "x" * 500,
            "tag": [name, "tags"],
        }
        for n, name in enumerate(names)
    }
    body = json.dumps({"child": [], "manifest": manifests, "tags": names}).encode()
    assert len(body) > 3_000_000
    registry.on(_TAGS, reply(body=body))
    client = make_client()
    tracemalloc.start()
    try:
        assert client.tags(Timeout("Test", 120)) == names
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


def test_tag_that_is_on_two_pages_is_listed_once(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    registry.on(
        _TAGS,
        reply.json({"tags": ["a", "b"]}, Link="<?last=b>; rel=next"),
        reply.json({"tags": ["b", "c"]}),
    )
    assert make_client().tags(_timeout()) == ["a", "b", "c"]


# --- Redirects and mirrors -----------------------------------------------


@pytest.mark.parametrize(
    "link",
    [
        "/v2/lab/tags/list?last=a",
        "/mirror/v2/lab/tags/list?last=a",
        "?last=a",
        "list?last=a",
        "http://{}/mirror/v2/lab/tags/list?last=a",
        "https://{}/v2/lab/tags/list?last=a",
    ],
)
def test_links_lead_to_the_next_page_of_a_mirror_with_a_path(
    registry: Any, reply: Any, make_client: MakeClient, link: str
) -> None:
    path = "/mirror/v2/lab/tags/list"
    header = f'<{link.format(registry.host)}>; rel="next"'
    registry.on(
        path, reply.json({"tags": ["a"]}, Link=header), reply.json({"tags": []})
    )
    mirrors = {"example.org": f"https://{registry.host}/mirror"}
    assert make_client("example.org", "lab", mirrors).tags(_timeout()) == ["a"]
    assert registry.received[-1].target == f"{path}?last=a"


@pytest.mark.parametrize(
    "link",
    [
        pytest.param("/v2/lab/tags/list?last=a&n=1", id="Artifactory"),
        pytest.param(
            "http://registry.example.org:80/repository/x/v2/docker/lab/tags/list"
            "?last=a&n=1",
            id="Nexus",
        ),
    ],
)
def test_links_that_have_lost_their_path_lead_to_the_same_list(
    registry: Any, reply: Any, make_client: MakeClient, link: str
) -> None:
    path = "/v2/docker/lab/tags/list"
    header = f'<{link}>; rel="next"'
    registry.on(
        path, reply.json({"tags": ["a"]}, Link=header), reply.json({"tags": ["b"]})
    )
    client = make_client(repository="docker/lab")
    assert client.tags(_timeout()) == ["a", "b"]
    assert registry.received[-1].target == f"{path}?last=a&n=1"


def test_link_to_another_path_is_followed(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    registry.on(_TAGS, reply.json({"tags": ["a"]}, Link="</cursors/7>; rel=next"))
    registry.on("/cursors/7", reply.json({"tags": ["b"]}))
    assert make_client().tags(_timeout()) == ["a", "b"]


def test_token_service_that_thinks_it_is_reached_by_http_is_reached_by_https(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    registry.on("/service/token", reply.json({"token": "t1"}))
    realm = f"http://{registry.host}/service/token"
    _protect(registry, reply, lambda: "Bearer t1", f'Bearer realm="{realm}"')
    assert make_client(credentials_for=registry.host).tags(_timeout()) == ["a"]
    assert all(r.url.startswith("https://") for r in registry.received)


def test_redirect_of_a_registry_behind_tls_stays_with_tls(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    location = f"http://{registry.host}/v2/moved/tags/list"
    registry.on(_TAGS, reply(301, {"Location": location}))
    registry.on("/v2/moved/tags/list", reply.json({"tags": ["a"]}))
    assert make_client().tags(_timeout()) == ["a"]
    assert all(r.url.startswith("https://") for r in registry.received)


def test_redirect_to_another_host_is_followed_without_credentials(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    def respond(received: Any) -> Any:
        if received.authorization != _BASIC:
            return reply(401, {"WWW-Authenticate": "Basic realm=a"})
        return reply(307, {"Location": f"https://{registry.other_host}/moved"})

    registry.on(_TAGS, respond)
    registry.on("/moved", reply.json({"tags": ["a"]}))
    client = make_client(credentials_for=registry.host)
    assert client.tags(_timeout()) == ["a"]
    assert registry.received[-1].host == registry.other_host
    assert registry.received[-1].authorization is None


def test_redirect_on_the_same_host_keeps_credentials(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    _protect(registry, reply, lambda: _BASIC, "Basic realm=a")
    registry.on("/v2/old/tags/list", reply(301, {"Location": _TAGS}))
    client = make_client(repository="old", credentials_for=registry.host)
    assert client.tags(_timeout()) == ["a"]


def test_host_behind_a_redirect_cannot_ask_for_credentials(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    location = f"https://{registry.other_host}/moved"
    registry.on(_TAGS, reply(307, {"Location": location}))
    registry.on("/moved", reply(401, {"WWW-Authenticate": "Basic realm=a"}))
    client = make_client(credentials_for=registry.host)
    with pytest.raises(DockerRegistryError, match="status 401"):
        client.tags(_timeout())
    assert all(received.authorization is None for received in registry.received)


@pytest.mark.parametrize(
    "location",
    ["http://example.org/", "ftp://example.org/", "https://a@b.org/", "http://["],
)
def test_unsafe_redirect_is_not_followed(
    registry: Any, reply: Any, make_client: MakeClient, location: str
) -> None:
    registry.on(_TAGS, reply(302, {"Location": location}))
    with pytest.raises(DockerRegistryError, match="no https URL"):
        make_client().tags(_timeout())


def test_redirects_in_a_circle_are_noticed(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    registry.on(_TAGS, reply(302, {"Location": _TAGS}))
    with pytest.raises(DockerRegistryError, match="in a circle"):
        make_client().tags(_timeout())


@pytest.mark.parametrize(
    ("name", "repository", "path"),
    [
        ("docker.io", "lab", "/v2/library/lab/tags/list"),
        ("docker.io", "lsstsqre/lab", "/v2/lsstsqre/lab/tags/list"),
        ("example.org", "lab", "/v2/lab/tags/list"),
    ],
)
def test_mirror_replaces_the_registry(
    registry: Any,
    reply: Any,
    make_client: MakeClient,
    name: str,
    repository: str,
    path: str,
) -> None:
    registry.on(path, reply.json({"tags": ["a"]}))
    client = make_client(name, repository, {name: f"https://{registry.host}"})
    assert client.tags(_timeout()) == ["a"]


def test_mirror_does_not_get_the_credentials_of_the_registry(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    _protect(registry, reply, lambda: _BASIC, "Basic realm=a")
    mirrors = {"upstream.test": f"https://{registry.host}"}
    foreign = make_client(
        "upstream.test", "lab", mirrors, credentials_for="upstream.test"
    )
    with pytest.raises(DockerRegistryError, match=r"status 401.*has none for"):
        foreign.tags(_timeout())
    own = make_client("upstream.test", "lab", mirrors, credentials_for=registry.host)
    assert own.tags(_timeout()) == ["a"]


def test_failures_never_show_credentials(
    registry: Any,
    reply: Any,
    make_client: MakeClient,
    capfd: pytest.CaptureFixture[str],
) -> None:
    registry.on("/token", reply(403))
    _protect(registry, reply, lambda: "Bearer t1", _bearer(registry.host))
    client = make_client(credentials_for=registry.host)
    with pytest.raises(DockerRegistryError) as error:
        client.tags(_timeout())
    shown = str(error.value) + "".join(capfd.readouterr())
    assert _PASSWORD not in shown
    assert _BASIC.removeprefix("Basic ") not in shown
