"""Starts and spawns while registries, one after the other, are in trouble."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nublado.config.model import DockerSourceConfig
from nublado.exceptions import DockerRegistryError, ServiceUnavailableError
from nublado.models.domain.image import ImageSelection
from nublado.models.domain.remembered import RememberedImages
from nublado.sandbox.faults import FaultRule
from nublado.sandbox.registry_modes import MODES
from nublado.services import image_resolution
from nublado.services.image import ImageService
from nublado.services.source.docker import DockerImageSource

_TROUBLES = {
    "limits": FaultRule("registry", status=429, retry_after=120),
    "refuses": FaultRule("registry", status=403),
    "is away": FaultRule("registry", drop="before"),
    "is slow": FaultRule("registry", delay=3600),
}


@pytest.fixture(params=MODES)
def make_service(
    request: pytest.FixtureRequest, running_registry: Any, tmp_path: Path
) -> Iterator[Callable[[], ImageService]]:
    credentials = tmp_path / "config.json"
    auth = base64.b64encode(b"puller:sandbox").decode()
    auths = {running_registry.host: {"auth": auth}}
    credentials.write_text(json.dumps({"auths": auths}))
    running_registry.push(w_2077_43="sha256:2", w_2077_42="sha256:3", other="sha256:4")
    running_registry.change(
        lambda: setattr(running_registry.server, "mode", request.param)
    )
    config = running_registry.images_config(credentials, num_weeklies=1)
    assert isinstance(config.source, DockerSourceConfig)
    services = []

    def make() -> ImageService:
        source = DockerImageSource(config, config.source, {})
        services.append(ImageService(config, source))
        return services[-1]

    yield make
    for service in services:
        service.close()


@pytest.mark.parametrize("trouble", _TROUBLES)
def test_known_images_are_spawned_and_others_are_unavailable(
    running_registry: Any,
    make_service: Callable[[], ImageService],
    monkeypatch: pytest.MonkeyPatch,
    trouble: str,
) -> None:
    earlier = make_service()
    earlier.refresh([])
    known = earlier.resolve(ImageSelection(image_tag="w_2077_43")).digest
    remembered = RememberedImages.decode(earlier.remember().encode(10_000))
    monkeypatch.setattr(image_resolution, "_LOOKUP_SECONDS", 1.0)
    running_registry.fail(_TROUBLES[trouble])

    service = make_service()
    service.recall(remembered, [])
    for selection in (
        ImageSelection(image_tag="w_2077_43"),
        ImageSelection(image_class="latest-weekly"),
        ImageSelection(image_list=f"{running_registry.reference}:w_2077_43"),
    ):
        assert service.resolve(selection).digest == known
    for tag in ("w_2077_42", "newer"):
        with pytest.raises(ServiceUnavailableError, match=running_registry.host):
            service.resolve(ImageSelection(image_tag=tag))

    running_registry.fail()
    service.refresh([])
    digest = service.resolve(ImageSelection(image_tag="w_2077_42")).digest
    assert digest not in (None, known)


def test_registry_that_limits_a_refresh_is_not_pressed(
    running_registry: Any, make_service: Callable[[], ImageService]
) -> None:
    rule = FaultRule("registry", status=429, retry_after=3600)
    running_registry.fail(rule)
    with pytest.raises(DockerRegistryError, match="status 429") as error:
        make_service().refresh([])
    assert rule.hits == 1
    assert error.value.retry_after > 60
