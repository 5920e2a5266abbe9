"""Which image a user means."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nublado.config.model import DockerSourceConfig
from nublado.exceptions import (
    InvalidDockerReferenceError,
    ServiceUnavailableError,
    UnknownImageError,
)
from nublado.models.domain.image import ImageSelection
from nublado.models.domain.node import Node
from nublado.sandbox.faults import FaultRule
from nublado.services import image_resolution
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


@pytest.mark.parametrize(
    ("rule", "reason", "seconds"),
    [
        (FaultRule("registry", "HEAD", status=403), "status 403", 10),
        (FaultRule("registry", status=429, retry_after=200), "status 429", 200),
        (FaultRule("registry", status=429, retry_after=86400), "status 429", 300),
        (FaultRule("registry", status=503, retry_after=30), "status 503", 30),
    ],
)
def test_registry_that_fails_is_not_an_unknown_image(
    running_registry: Any,
    service: ImageService,
    rule: FaultRule,
    reason: str,
    seconds: int,
) -> None:
    running_registry.fail(rule)
    with pytest.raises(ServiceUnavailableError, match=reason) as error:
        service.resolve(ImageSelection(image_tag="w_2077_41"))
    host = running_registry.host
    assert f"Cannot ask {host} for w_2077_41 now, try again" in str(error.value)
    assert error.value.retry_after == seconds


def test_registry_that_is_slow_is_waited_for_so_long_and_no_longer(
    running_registry: Any, service: ImageService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_resolution, "_LOOKUP_SECONDS", 0.5)
    running_registry.fail(FaultRule("registry", delay=120))
    with pytest.raises(ServiceUnavailableError, match=running_registry.host):
        service.resolve(ImageSelection(image_tag="w_2077_41"))


def test_requests_for_one_tag_share_a_lookup_and_only_so_many_wait(
    running_registry: Any,
    service: ImageService,
    monkeypatch: pytest.MonkeyPatch,
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    monkeypatch.setattr(image_resolution, "_LOOKUP_SECONDS", 60)
    rule = FaultRule("registry", delay=3600)
    running_registry.fail(rule)
    selection = ImageSelection(image_tag="w_2077_41")
    with ThreadPoolExecutor(40) as pool:
        lookups = [pool.submit(service.resolve, selection) for _ in range(40)]
        eventually(lambda: sum(lookup.done() for lookup in lookups) == 24)
        for lookup in lookups:
            if lookup.done():
                with pytest.raises(ServiceUnavailableError, match="too many requests"):
                    lookup.result()
        known = ImageSelection(image_tag="w_2077_43")
        assert service.resolve(known).digest == "sha256:2"
        eventually(lambda: rule.hits == 1)
        service.close()
    for lookup in lookups:
        assert isinstance(lookup.exception(), ServiceUnavailableError)


@pytest.fixture
def early(running_registry: Any, tmp_path: Path) -> Iterator[ImageService]:
    """A service that has not read the registry yet, with one image on a node."""
    running_registry.push(w_2077_43="sha256:2", recommended="sha256:3")
    config = running_registry.images_config(tmp_path / "none")
    assert isinstance(config.source, DockerSourceConfig)
    service = ImageService(config, DockerImageSource(config, config.source, {}))
    names = [f"{running_registry.reference}@sha256:7"]
    status = {"images": [{"names": names, "sizeBytes": 1}]}
    node = {"metadata": {"name": "a"}, "status": status}
    service.recall(None, [Node.from_kubernetes(node, [])])
    yield service
    service.close()


@pytest.mark.parametrize(
    ("selection", "digest"),
    [
        (ImageSelection(image_tag="w_2077_43"), "sha256:2"),
        (ImageSelection(image_class="recommended"), "sha256:3"),
        (ImageSelection(image_list="{}:w_2077_43"), "sha256:2"),
        (ImageSelection(image_list="{}:any@sha256:2"), "sha256:2"),
    ],
)
def test_images_may_be_asked_for_before_all_are_known(
    running_registry: Any, early: ImageService, selection: ImageSelection, digest: str
) -> None:
    """A registry that lists no tags may still tell of one."""
    running_registry.fail(FaultRule("registry", path="tags/list", status=403))
    if selection.image_list:
        reference = selection.image_list.format(running_registry.reference)
        selection = replace(selection, image_list=reference)
    assert early.resolve(selection).digest == digest


def test_image_that_cannot_be_known_yet_is_not_unknown(
    running_registry: Any, early: ImageService
) -> None:
    lab = running_registry.reference
    running_registry.fail(FaultRule("registry", status=401))
    for selection in (
        ImageSelection(image_tag="w_2077_43"),
        ImageSelection(image_class="recommended"),
        ImageSelection(image_class="latest-weekly"),
        ImageSelection(image_list=f"{lab}:w_2077_43"),
        ImageSelection(image_list=f"{lab}:w_2077_43@sha256:2"),
    ):
        with pytest.raises(ServiceUnavailableError, match=running_registry.host):
            early.resolve(selection)
    on_node = ImageSelection(image_list=f"{lab}:w_2077_42@sha256:7")
    image = early.resolve(on_node)
    assert image.reference_with_digest == f"{lab}:w_2077_42@sha256:7"
    assert image.display_name == "Weekly 2077_42"


@pytest.mark.parametrize(
    "selection",
    [
        ImageSelection(image_tag="nope"),
        ImageSelection(image_tag="no tag!"),
        ImageSelection(image_list="other.org/lab:w_2077_43"),
    ],
)
def test_image_that_cannot_exist_is_unknown_at_once(
    running_registry: Any, early: ImageService, selection: ImageSelection
) -> None:
    with pytest.raises(UnknownImageError):
        early.resolve(selection)
