"""Registries on this machine, which may speak TLS or not."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from nublado.config.model import DockerSourceConfig
from nublado.exceptions import DockerRegistryError
from nublado.storage.docker import DockerRegistryClient
from nublado.timeout import Timeout
from tests.scripted_server import Reply, ScriptedServer

TAGS = Reply(body=json.dumps({"tags": ["w_2026_45"]}).encode())

MakeClient = Callable[[str], DockerRegistryClient]


@pytest.fixture
def plain() -> Iterator[ScriptedServer]:
    with ExitStack() as stack:
        yield _start(stack)


@pytest.fixture
def secure(certificate: Path) -> Iterator[ScriptedServer]:
    with ExitStack() as stack:
        yield _start(stack, certificate)


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[MakeClient]:
    with ExitStack() as stack:

        def make(host: str) -> DockerRegistryClient:
            credentials = tmp_path / "config.json"
            credentials.write_text(json.dumps({"auths": {host: {"auth": "YTpi"}}}))
            config = DockerSourceConfig(
                repository="lab", registry=host, credentials_path=credentials
            )
            client = DockerRegistryClient(config)
            stack.callback(client.close)
            return client

        yield make


def _start(stack: ExitStack, certificate: Path | None = None) -> ScriptedServer:
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    server = ScriptedServer(tls)
    server.start()
    stack.callback(server.stop)
    server.default = TAGS
    return server


def _host(server: ScriptedServer) -> str:
    return urlsplit(server.url).netloc


def _timeout() -> Timeout:
    return Timeout("Test", 60)


def test_registry_that_speaks_tls_is_reached_by_it(
    secure: ScriptedServer,
    certificate: Path,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    challenge = Reply(401, headers={"WWW-Authenticate": 'Basic realm="lab"'})
    secure.replies = [challenge, challenge]
    client = make_client(_host(secure))
    assert client.tags(_timeout()) == ["w_2026_45"]
    assert secure.received[-1].headers["authorization"] == "Basic YTpi"


def test_registry_without_tls_is_reached_without(
    plain: ScriptedServer, make_client: MakeClient
) -> None:
    client = make_client(_host(plain))
    for _ in range(2):
        assert client.tags(_timeout()) == ["w_2026_45"]
    assert {r.path for r in plain.received} == {"/v2/lab/tags/list"}


def test_registry_whose_certificate_is_not_trusted_is_not_reached_without(
    secure: ScriptedServer, make_client: MakeClient
) -> None:
    with pytest.raises(DockerRegistryError, match="certificate"):
        make_client(_host(secure)).tags(Timeout("Test", 3))
    assert secure.received == []
