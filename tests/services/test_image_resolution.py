"""Which image a user means."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nublado.config.model import DockerSourceConfig
from nublado.exceptions import (
    DockerRegistryError,
    InvalidDockerReferenceError,
    UnknownImageError,
)
from nublado.models.domain.image import ImageSelection
from nublado.sandbox.faults import FaultRule
from nublado.services.image import ImageService
from nublado.services.source.docker import DockerImageSource


@pytest.fixture
def service(running_registry: Any, tmp_path: Path) -> Iterator[ImageService]:
    running_registry.push(
        r22_0_1="sha256:1",
        w_2077_43="sha256:2",
        w_2077_42="sha256:3",
        w_2077_41="sha256:4",
        recommended="sha256:3",
    )
    config = running_registry.images_config(tmp_path / "none", num_dailies=1)
    assert isinstance(config.source, DockerSourceConfig)
    service = ImageService(config, DockerImageSource(config, config.source, {}))
    service.refresh([])
    running_registry.requests()
    yield service
    service.close()


def test_known_digest_is_resolved_without_asking(
    running_registry: Any, service: ImageService
) -> None:
    lab = running_registry.reference
    for selection, reference, name in (
        (
            ImageSelection(image_class="recommended"),
            f"{lab}:recommended@sha256:3",
            "Recommended (Weekly 2077_42)",
        ),
        (
            ImageSelection(image_class="latest-weekly"),
            f"{lab}:w_2077_43@sha256:2",
            "Weekly 2077_43",
        ),
        (
            ImageSelection(image_class="latest-release"),
            f"{lab}:r22_0_1@sha256:1",
            "Release r22.0.1",
        ),
        (
            ImageSelection(image_tag="w_2077_42"),
            f"{lab}:w_2077_42@sha256:3",
            "Weekly 2077_42",
        ),
        (
            ImageSelection(image_list=f"{lab}:w_2077_43"),
            f"{lab}:w_2077_43@sha256:2",
            "Weekly 2077_43",
        ),
        (
            ImageSelection(image_list=f"{lab}:recommended@sha256:3"),
            f"{lab}:recommended@sha256:3",
            "Recommended (Weekly 2077_42)",
        ),
        (
            ImageSelection(image_dropdown=f"{lab}@sha256:3"),
            f"{lab}:w_2077_42@sha256:3",
            "Weekly 2077_42",
        ),
        (
            ImageSelection(image_dropdown=f"{lab}:deleted@sha256:3"),
            f"{lab}:w_2077_42@sha256:3",
            "Weekly 2077_42",
        ),
    ):
        image = service.resolve(selection)
        assert image.reference_with_digest == reference
        assert image.display_name == name
    assert running_registry.requests() == {}


def test_unknown_digest_of_a_known_tag_is_fresh(
    running_registry: Any, service: ImageService
) -> None:
    for digest in ("sha256:4", "sha256:5"):
        running_registry.push(w_2077_41=digest)
        assert service.resolve(ImageSelection(image_tag="w_2077_41")).digest == digest
    reference = f"{running_registry.reference}:w_2077_41"
    image = service.resolve(ImageSelection(image_dropdown=reference))
    assert image.reference_with_digest == f"{reference}@sha256:5"
    assert running_registry.requests() == {"HEAD": 3}


def test_unknown_digest_is_used_if_the_registry_has_it(
    running_registry: Any, service: ImageService
) -> None:
    running_registry.push(other="sha256:9")
    reference = f"{running_registry.reference}:recommended@sha256:9"
    image = service.resolve(ImageSelection(image_list=reference))
    assert image.reference_with_digest == reference
    assert image.display_name == "Recommended"


@pytest.mark.parametrize(
    ("option", "chosen", "message"),
    [
        ("image_tag", "nope", 'Docker tag "nope" not found'),
        ("image_list", "{}:nope", 'Docker reference "{}:nope" not found'),
        ("image_dropdown", "{}:nope", 'Docker reference "{}:nope" not found'),
        (
            "image_list",
            "{}:w_2077_43@sha256:8",
            'Docker reference "{}:w_2077_43@sha256:8" not found',
        ),
        (
            "image_list",
            "{}:nope@sha256:8",
            'Docker reference "{}:nope@sha256:8" not found',
        ),
        (
            "image_list",
            "other.org/lab:w_2077_43@sha256:2",
            'Docker reference "other.org/lab:w_2077_43@sha256:2" not found',
        ),
        (
            "image_list",
            "{}/x:w_2077_43",
            'Docker reference "{}/x:w_2077_43" not found',
        ),
        ("image_class", "latest-daily", "No latest-daily image found"),
    ],
)
def test_unknown_image_is_refused(
    running_registry: Any,
    service: ImageService,
    option: str,
    chosen: str,
    message: str,
) -> None:
    lab = running_registry.reference
    with pytest.raises(UnknownImageError) as error:
        service.resolve(ImageSelection(**{option: chosen.format(lab)}))
    assert str(error.value) == message.format(lab)
    assert error.value.location == ["body", "options", option]


def test_missing_recommended_image_is_refused(
    running_registry: Any, service: ImageService
) -> None:
    running_registry.remove("recommended")
    service.refresh([])
    with pytest.raises(UnknownImageError, match="No recommended image found"):
        service.resolve(ImageSelection(image_class="recommended"))


def test_tag_that_has_vanished_meanwhile_is_refused(
    running_registry: Any, service: ImageService
) -> None:
    running_registry.remove("w_2077_41")
    with pytest.raises(UnknownImageError, match="w_2077_41"):
        service.resolve(ImageSelection(image_tag="w_2077_41"))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("sketchbook", 'Invalid Docker reference "sketchbook"'),
        ("{}:", 'Invalid Docker reference "{}:"'),
        ("{}", 'Docker reference "{}" has no tag'),
        ("{}@sha256:8", 'Docker reference "{}@sha256:8" has no tag'),
    ],
)
@pytest.mark.parametrize("option", ["image_list", "image_dropdown"])
def test_invalid_reference_is_refused(
    running_registry: Any,
    service: ImageService,
    option: str,
    chosen: str,
    message: str,
) -> None:
    lab = running_registry.reference
    with pytest.raises(InvalidDockerReferenceError) as error:
        service.resolve(ImageSelection(**{option: chosen.format(lab)}))
    assert str(error.value) == message.format(lab)
    assert error.value.location == ["body", "options", option]


def test_registry_that_fails_is_not_an_unknown_image(
    running_registry: Any, service: ImageService
) -> None:
    running_registry.fail(FaultRule("registry", "HEAD", status=403))
    with pytest.raises(DockerRegistryError):
        service.resolve(ImageSelection(image_tag="w_2077_41"))
