"""The client of Docker registries."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

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


def test_pages_in_a_circle_are_noticed(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    link = f'<{_TAGS}?last=a>; rel="next"'
    registry.on(_TAGS, reply.json({"tags": ["a"]}, Link=link))
    with pytest.raises(DockerRegistryError, match="no end"):
        make_client().tags(_timeout())


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"tags": 5}'])
def test_tags_that_cannot_be_parsed_are_an_error(
    registry: Any, reply: Any, make_client: MakeClient, body: bytes
) -> None:
    registry.on(_TAGS, reply(body=body))
    with pytest.raises(DockerRegistryError, match="cannot parse response"):
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


@pytest.mark.parametrize("headers", [{}, {"Docker-Content-Digest": "nonsense"}])
def test_response_without_digest_is_an_error(
    registry: Any, reply: Any, make_client: MakeClient, headers: dict[str, str]
) -> None:
    registry.on(_manifest("w_1"), reply(headers=headers))
    with pytest.raises(DockerRegistryError, match="the response has none"):
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
    found = make_client().digests(names, _timeout())
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


def test_registry_that_fails_for_all_tags_is_an_error(
    registry: Any, reply: Any, make_client: MakeClient
) -> None:
    for name in ("a", "b"):
        registry.on(_manifest(name), reply(403))
    with pytest.raises(DockerRegistryError, match="status 403"):
        make_client().digests(["a", "b"], _timeout())


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


@pytest.mark.parametrize("realm", ["https://evil.test/token", "file:///etc/passwd"])
def test_foreign_token_service_gets_nothing(
    registry: Any, reply: Any, make_client: MakeClient, realm: str
) -> None:
    _protect(registry, reply, lambda: _BASIC, f'Bearer realm="{realm}"')
    client = make_client(credentials_for=registry.host)
    with pytest.raises(DockerRegistryError, match="not trusted") as error:
        client.tags(_timeout())
    assert _PASSWORD not in str(error.value)
    assert len(registry.received) == 1


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


# --- Redirects and mirrors -----------------------------------------------


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
    "location", ["http://example.org/", "ftp://example.org/", "https://a@b.org/"]
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
    with pytest.raises(DockerRegistryError, match=r"upstream\.test/lab: status 401"):
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
