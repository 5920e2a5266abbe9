"""Images as a Docker registry tells them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nublado.config.model import DockerSourceConfig
from nublado.exceptions import DockerRegistryError
from nublado.models.domain.rspimage import RSPImage, RSPImageCollection
from nublado.sandbox.faults import FaultRule
from nublado.services.source.docker import DockerImageSource
from nublado.timeout import Timeout

MakeSource = Callable[..., DockerImageSource]

_NOTHING = RSPImageCollection(())


def _images(
    source: DockerImageSource, before: RSPImageCollection = _NOTHING
) -> RSPImageCollection:
    return source.images(before, Timeout("Test", 30))


def _tag(images: RSPImageCollection, tag: str) -> RSPImage:
    image = images.get(tag)
    assert image is not None
    return image


def _digests(images: RSPImageCollection) -> dict[str, str | None]:
    return {image.tag: image.digest for image in images}


@pytest.fixture
def make_source(running_registry: Any, tmp_path: Path) -> Iterator[MakeSource]:
    sources = []

    def make(**settings: Any) -> DockerImageSource:
        config = running_registry.images_config(tmp_path / "config.json", **settings)
        assert isinstance(config.source, DockerSourceConfig)
        sources.append(DockerImageSource(config, config.source, {}))
        return sources[-1]

    yield make
    for source in sources:
        source.close()


def test_only_images_to_prepull_have_digests(
    running_registry: Any, make_source: MakeSource
) -> None:
    running_registry.push(
        r22_0_1="sha256:1",
        r22_0_0="sha256:2",
        w_2077_43="sha256:3",
        w_2077_42="sha256:4",
        exp_a="sha256:5",
        exp_b="sha256:6",
        recommended="sha256:3",
    )
    source = make_source(num_releases=1, num_weeklies=1, num_dailies=1, pin=("exp_b",))
    images = _images(source)
    assert _digests(images) == {
        "recommended": "sha256:3",
        "r22_0_1": "sha256:1",
        "r22_0_0": None,
        "w_2077_43": "sha256:3",
        "w_2077_42": None,
        "exp_b": "sha256:6",
        "exp_a": None,
    }
    recommended = _tag(images, "recommended")
    assert recommended.display_name == "Recommended (Weekly 2077_43)"
    assert recommended.reference == f"{running_registry.reference}:recommended"
    assert running_registry.requests() == {"GET": 1, "HEAD": 4}


def test_unchanged_image_costs_one_request(
    running_registry: Any, make_source: MakeSource
) -> None:
    running_registry.push(
        **{f"d_2077_{n // 28:02}_{n % 28:02}": f"sha256:{n}" for n in range(2500)}
    )
    source = make_source()
    before = _images(source)
    running_registry.requests()
    after = _images(source, before)
    assert after.all() == before.all()
    assert running_registry.requests() == {"GET": 3, "HEAD": 3}


def test_tag_that_moves_has_its_new_digest(
    running_registry: Any, make_source: MakeSource
) -> None:
    running_registry.push(w_2077_43="sha256:1", recommended="sha256:1")
    source = make_source()
    before = _images(source)
    running_registry.push(recommended="sha256:2")
    after = _images(source, before)
    assert _tag(after, "recommended").digest == "sha256:2"
    assert _tag(after, "recommended").display_name == "Recommended"


def test_tag_that_fails_keeps_its_digest(
    running_registry: Any, make_source: MakeSource
) -> None:
    running_registry.push(w_2077_43="sha256:1", recommended="sha256:1")
    source = make_source()
    before = _images(source)
    running_registry.push(w_2077_43="sha256:2", recommended="sha256:2")
    running_registry.fail(FaultRule("registry", "HEAD", "recommended", status=403))
    after = _images(source, before)
    assert _digests(after) == {"recommended": "sha256:1", "w_2077_43": "sha256:2"}


def test_tag_that_fails_at_first_has_no_digest(
    running_registry: Any, make_source: MakeSource
) -> None:
    running_registry.push(w_2077_43="sha256:1", recommended="sha256:1")
    running_registry.fail(FaultRule("registry", "HEAD", "recommended", status=403))
    images = _images(make_source())
    assert _digests(images) == {"recommended": None, "w_2077_43": "sha256:1"}


def test_digest_of_a_tag_that_does_not_matter_any_more_is_forgotten(
    running_registry: Any, make_source: MakeSource
) -> None:
    running_registry.push(w_2077_43="sha256:1")
    source = make_source(num_weeklies=1)
    before = _images(source)
    running_registry.push(w_2077_44="sha256:2")
    after = _images(source, before)
    assert _digests(after) == {"w_2077_44": "sha256:2", "w_2077_43": None}


def test_tag_that_vanishes_is_left_out(
    running_registry: Any, make_source: MakeSource
) -> None:
    running_registry.push(w_2077_43="sha256:1", w_2077_42="sha256:2", exp_a="sha256:3")
    source = make_source()
    before = _images(source)
    running_registry.remove("exp_a")
    running_registry.fail(FaultRule("registry", path="w_2077_42", status=404))
    assert _digests(_images(source, before)) == {"w_2077_43": "sha256:1"}


def test_registry_that_fails_for_all_digests_does_not_fail_the_refresh(
    running_registry: Any, make_source: MakeSource
) -> None:
    running_registry.push(w_2077_43="sha256:1")
    source = make_source()
    before = _images(source)
    running_registry.fail(FaultRule("registry", "HEAD", status=403))
    assert _digests(_images(source, before)) == {"w_2077_43": "sha256:1"}
    assert _digests(_images(make_source())) == {"w_2077_43": None}


def test_registry_that_does_not_list_is_an_error(
    running_registry: Any, make_source: MakeSource
) -> None:
    running_registry.push(w_2077_43="sha256:1")
    running_registry.fail(FaultRule("registry", "GET", status=403))
    with pytest.raises(DockerRegistryError):
        _images(make_source())


def test_cycle_leaves_only_its_tags_and_what_is_recommended(
    running_registry: Any, make_source: MakeSource
) -> None:
    target = "w_2077_43_c0027.001"
    running_registry.push(
        **{target: "sha256:1"},
        w_2077_44="sha256:2",
        recommended="sha256:1",
        recommended_c0026="sha256:2",
        latest_weekly="sha256:2",
    )
    images = _images(make_source(cycle=27, alias_tags=("latest_weekly",)))
    assert _digests(images) == {"recommended": "sha256:1", target: "sha256:1"}
    assert _tag(images, "recommended").cycle == 27


def test_configured_aliases_are_displayed_as_such(
    running_registry: Any, make_source: MakeSource
) -> None:
    running_registry.push(latest_weekly="sha256:1", other_weekly="sha256:1")
    images = _images(make_source(alias_tags=("latest_weekly",)))
    assert _tag(images, "latest_weekly").display_name == "Latest Weekly"
    assert _tag(images, "other_weekly").display_name == "other_weekly"


def test_token_that_expires_between_refreshes_is_replaced(
    running_registry: Any, make_source: MakeSource, tmp_path: Path
) -> None:
    server = running_registry.server
    auth = base64.b64encode(f"{server.username}:{server.password}".encode()).decode()
    auths = {running_registry.host: {"auth": auth}}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    running_registry.change(lambda: setattr(server, "auth", "bearer"))
    running_registry.push(w_2077_43="sha256:1")
    source = make_source()
    before = _images(source)
    running_registry.change(server._tokens.clear)
    running_registry.requests()
    assert _images(source, before).all() == before.all()
    # Refused, a new token, the tags; the digest.
    assert running_registry.requests() == {"GET": 3, "HEAD": 1}


def test_any_digest_can_be_looked_up(
    running_registry: Any, make_source: MakeSource
) -> None:
    running_registry.push(w_2077_43="sha256:1")
    source, timeout = make_source(), Timeout("Test", 30)
    assert source.digest("w_2077_43", timeout) == "sha256:1"
    assert source.digest("sha256:1", timeout) == "sha256:1"
    assert source.digest("sha256:2", timeout) is None
