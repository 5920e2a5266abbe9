"""Registries in the field, one after the other."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nublado.config.model import DockerSourceConfig
from nublado.exceptions import DockerRegistryError
from nublado.models.domain.rspimage import RSPImageCollection
from nublado.sandbox.registry_modes import MODES
from nublado.services.source.docker import DockerImageSource
from nublado.timeout import Timeout

MakeSource = Callable[..., DockerImageSource]

_PRIVATE = [name for name, mode in MODES.items() if mode.auth in ("basic", "bearer")]
_PUBLIC = [name for name, mode in MODES.items() if mode.auth == "bearer"]
_HOST = "registry.example.org"


def _images(source: DockerImageSource) -> RSPImageCollection:
    return source.images(RSPImageCollection(()), Timeout("Test", 60))


def _write_credentials(path: Path, key: str, password: str) -> None:
    auth = base64.b64encode(f"puller:{password}".encode()).decode()
    path.write_text(json.dumps({"auths": {key: {"auth": auth}}}))


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


@pytest.fixture
def make_source(running_registry: Any, credentials: Path) -> Iterator[MakeSource]:
    sources = []
    running_registry.push(
        **{f"w_2077_{n:02}": f"sha256:{n}" for n in range(43)},
        **{f"d_2077_{n // 28:02}_{n % 28:02}": f"sha256:d{n}" for n in range(300)},
        recommended="sha256:42",
    )

    def make(mode: str, path: str = "", **settings: Any) -> DockerImageSource:
        for name, value in {"mode": mode, **settings}.items():
            running_registry.change(
                lambda name=name, value=value: setattr(
                    running_registry.server, name, value
                )
            )
        config = running_registry.images_config(credentials)
        docker = DockerSourceConfig("lab", _HOST, credentials)
        mirrors = {_HOST: f"http://{running_registry.host}{path}"}
        config = replace(config, source=docker)
        sources.append(DockerImageSource(config, docker, mirrors))
        return sources[-1]

    yield make
    for source in sources:
        source.close()


def _check(source: DockerImageSource) -> None:
    """Everything is found, aliases and digests too."""
    images = _images(source)
    assert len(images) == 344
    recommended = images.get("recommended")
    assert recommended is not None
    assert recommended.digest is not None
    assert recommended.display_name == "Recommended (Weekly 2077_42)"
    assert source.digest(recommended.digest, Timeout("Test", 60)) is not None
    assert source.digest("missing", Timeout("Test", 60)) is None


@pytest.mark.parametrize("mode", _PRIVATE)
def test_private_repository_is_read_with_credentials(
    running_registry: Any, make_source: MakeSource, credentials: Path, mode: str
) -> None:
    _write_credentials(credentials, running_registry.host, "sandbox")
    source = make_source(mode)
    _check(source)
    assert source.report.credentials == running_registry.host
    page = MODES[mode].page
    assert source.report.pages == (-(-344 // page) if page else 1)


@pytest.mark.parametrize("mode", _PUBLIC)
def test_public_repository_is_read_without_credentials(
    make_source: MakeSource, mode: str
) -> None:
    source = make_source(mode, public=True)
    _check(source)
    assert source.report.credentials is None


@pytest.mark.parametrize("mode", _PUBLIC)
def test_public_repository_is_read_in_spite_of_expired_credentials(
    running_registry: Any, make_source: MakeSource, credentials: Path, mode: str
) -> None:
    _write_credentials(credentials, running_registry.host, "expired")
    source = make_source(mode, public=True)
    _check(source)
    assert source.report.credentials is None
    assert source.report.refused == {running_registry.host: MODES[mode].refusal}


@pytest.mark.parametrize("mode", _PRIVATE)
def test_rotated_password_is_used(
    running_registry: Any, make_source: MakeSource, credentials: Path, mode: str
) -> None:
    _write_credentials(credentials, running_registry.host, "sandbox")
    source = make_source(mode)
    _images(source)
    running_registry.change(lambda: setattr(running_registry.server, "password", "new"))
    running_registry.change(running_registry.server._tokens.clear)
    _write_credentials(credentials, running_registry.host, "new")
    # Between two refreshes, so that only the refusal tells.
    assert source.digest("w_2077_42", Timeout("Test", 60)) is not None
    _check(source)


@pytest.mark.parametrize("mode", _PRIVATE)
def test_token_that_the_registry_forgot_is_replaced(
    running_registry: Any, make_source: MakeSource, credentials: Path, mode: str
) -> None:
    _write_credentials(credentials, running_registry.host, "sandbox")
    source = make_source(mode)
    _images(source)
    running_registry.change(running_registry.server._tokens.clear)
    _check(source)


@pytest.mark.parametrize("mode", _PRIVATE)
def test_wrong_password_is_named_in_the_error(
    running_registry: Any, make_source: MakeSource, credentials: Path, mode: str
) -> None:
    _write_credentials(credentials, running_registry.host, "wrong")
    with pytest.raises(DockerRegistryError, match="refuses the credentials") as error:
        _images(make_source(mode))
    assert running_registry.host in str(error.value)
    assert "wrong" not in str(error.value)


@pytest.mark.parametrize("path", ["", "/mirror"])
def test_mirror_is_read_without_head_and_digest_headers(
    make_source: MakeSource, path: str
) -> None:
    source = make_source("mirror", path)
    _check(source)
    assert set(source.report.digests.values()) == {"the manifest itself"}
    assert source.report.endpoint.endswith(path)
