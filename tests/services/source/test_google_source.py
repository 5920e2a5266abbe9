"""Images as Google Artifact Registry tells them, over its REST API."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from nublado.config.model import GoogleSourceConfig, ImagesConfig
from nublado.exceptions import ConfigurationError, GoogleRegistryError
from nublado.models.domain.image import ImageSelection
from nublado.models.domain.node import Node
from nublado.models.domain.rspimage import RSPImageCollection
from nublado.sandbox.faults import FaultRule
from nublado.services.image import ImageService
from nublado.services.source.google import GoogleImageSource
from nublado.timeout import Timeout

_SOURCE = GoogleSourceConfig("us-central1", "rubin", "sciplat", "team/lab")
_REGISTRY = "us-central1-docker.pkg.dev"
_REPOSITORY = "rubin/sciplat/team/lab"
_NOTHING = RSPImageCollection(())


@pytest.fixture
def source(running_registry: Any) -> Iterator[GoogleImageSource]:
    repositories = running_registry.server.repositories
    running_registry.change(
        lambda: repositories.update(
            {
                _REPOSITORY: {
                    "w_2077_43": "sha256:43",
                    "recommended": "sha256:43",
                    "w_2077_42": "sha256:42",
                    "d_2077_10_30": "sha256:30",
                },
                "rubin/sciplat/other": {"w_2077_44": "sha256:44"},
            }
        )
    )
    config = ImagesConfig(source=_SOURCE)
    mirrors = {_REGISTRY: f"http://{running_registry.host}"}
    made = GoogleImageSource(config, _SOURCE, mirrors)
    yield made
    made.close()


def _refresh(source: GoogleImageSource) -> RSPImageCollection:
    return source.images(_NOTHING, Timeout("Test", 30))


def test_images_have_digests_and_sizes(source: GoogleImageSource) -> None:
    images = _refresh(source)
    assert {image.tag: image.digest for image in images} == {
        "recommended": "sha256:43",
        "w_2077_43": "sha256:43",
        "w_2077_42": "sha256:42",
        "d_2077_10_30": "sha256:30",
    }
    recommended = images.get("recommended")
    assert recommended is not None
    assert recommended.reference == f"{_REGISTRY}/{_REPOSITORY}:recommended"
    assert recommended.display_name == "Recommended (Weekly 2077_43)"
    assert recommended.size == 3_500_000_000


def test_refresh_costs_one_request_for_a_thousand_images(
    source: GoogleImageSource, running_registry: Any
) -> None:
    tags = {f"exp_{number}": f"sha256:{number:04x}" for number in range(2500)}
    running_registry.change(
        lambda: running_registry.server.repositories[_REPOSITORY].update(tags)
    )
    assert len(_refresh(source)) == 2504
    assert running_registry.requests() == {"GET": 3}


@pytest.mark.parametrize("status", [500, 503])
def test_passing_failures_are_retried(
    source: GoogleImageSource, running_registry: Any, status: int
) -> None:
    running_registry.fail(FaultRule(target="registry", status=status, count=2))
    assert len(_refresh(source)) == 4


def test_lost_connection_is_retried(
    source: GoogleImageSource, running_registry: Any
) -> None:
    running_registry.fail(FaultRule(target="registry", drop="before", count=1))
    assert len(_refresh(source)) == 4


def test_lasting_failure_is_tried_four_times(
    source: GoogleImageSource, running_registry: Any
) -> None:
    rule = FaultRule(target="registry", status=503)
    running_registry.fail(rule)
    with pytest.raises(GoogleRegistryError, match="listing images"):
        _refresh(source)
    assert rule.hits == 4


def test_refusal_is_not_retried(
    source: GoogleImageSource, running_registry: Any
) -> None:
    rule = FaultRule(target="registry", status=403)
    running_registry.fail(rule)
    with pytest.raises(GoogleRegistryError, match="Forbidden"):
        _refresh(source)
    assert rule.hits == 1


def test_single_images_are_found(source: GoogleImageSource) -> None:
    timeout = Timeout("Test", 30)
    assert source.digest("sha256:42", timeout) == "sha256:42"
    assert source.digest("w_2077_42", timeout) == "sha256:42"
    assert source.digest("sha256:44", timeout) is None
    assert source.digest("w_2077_44", timeout) is None


def test_images_resolve_as_those_of_a_docker_registry(
    source: GoogleImageSource, running_registry: Any
) -> None:
    service = ImageService(ImagesConfig(source=_SOURCE), source)
    service.refresh([Node("node-1")])
    tagged = service.resolve(ImageSelection(image_tag="w_2077_42"))
    assert tagged.reference_with_digest == (
        f"{_REGISTRY}/{_REPOSITORY}:w_2077_42@sha256:42"
    )
    latest = service.resolve(ImageSelection(image_class="latest-weekly"))
    assert latest.tag == "w_2077_43"
    running_registry.change(
        lambda: running_registry.server.repositories[_REPOSITORY].update(
            w_2077_42="sha256:99"
        )
    )
    moved = f"{_REGISTRY}/{_REPOSITORY}:w_2077_42@sha256:99"
    found = service.resolve(ImageSelection(image_list=moved))
    assert found.digest == "sha256:99"
    service.close()


def test_missing_library_is_an_error_of_the_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in list(sys.modules):
        if name.startswith("google.cloud"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "google.cloud", None)
    with pytest.raises(ConfigurationError, match=r"nublado\[google\]"):
        GoogleImageSource(ImagesConfig(source=_SOURCE), _SOURCE, {})
