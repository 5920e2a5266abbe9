"""Deletion of images in the sandbox's registry and its Artifact Registry."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from nublado.config.model import DockerSourceConfig, GoogleSourceConfig
from nublado.exceptions import NubladoError
from nublado.models.domain.image_deletion import TaggedImage
from nublado.sandbox.faults import FaultRule
from nublado.sandbox.registry_modes import MODES
from nublado.sandbox.tags import digest_of
from nublado.services.image_repository import ImageRepository, make_image_repository
from nublado.timeout import Timeout

_GOOGLE = GoogleSourceConfig("us-central1", "rubin", "sciplat", "team/lab")


@pytest.fixture(params=["docker", "google"])
def place(request: pytest.FixtureRequest, running_registry: Any) -> str:
    """Name of the repository in the registry."""
    name = "lab" if request.param == "docker" else "rubin/sciplat/team/lab"
    running_registry.change(
        lambda: running_registry.server.repositories.update({name: {}})
    )
    return name


@pytest.fixture
def repository(place: str, running_registry: Any, tmp_path: Path) -> ImageRepository:
    if place == "lab":
        credentials = tmp_path / "credentials.json"
        auth = base64.b64encode(b"puller:sandbox").decode()
        auths = {running_registry.host: {"auth": auth}}
        credentials.write_text(json.dumps({"auths": auths}))
        source = DockerSourceConfig("lab", running_registry.host, credentials)
        return make_image_repository(source, {})
    mirror = {"us-central1-docker.pkg.dev": f"http://{running_registry.host}"}
    return make_image_repository(_GOOGLE, mirror)


def _timeout() -> Timeout:
    return Timeout("Test", 60)


def _push(running_registry: Any, place: str, tags: dict[str, str]) -> None:
    running_registry.change(
        lambda: running_registry.server.repositories[place].update(tags)
    )


def _left(running_registry: Any, place: str) -> dict[str, str]:
    left: dict[str, str] = running_registry.change(
        lambda: dict(running_registry.server.repositories[place])
    )
    return left


def test_images_go_with_all_of_their_tags(
    repository: ImageRepository, running_registry: Any, place: str
) -> None:
    old, new = digest_of("old"), digest_of("new")
    _push(running_registry, place, {"w_1": old, "w_2": new, "w_1_x": old})
    doomed = TaggedImage(old, ("w_1", "w_1_x"))
    assert list(repository.delete([doomed], _timeout())) == [doomed]
    assert _left(running_registry, place) == {"w_2": new}
    assert repository.tags(_timeout()) == ["w_2"]
    assert [i.digest for i in repository.images(_timeout())] == [new]
    repository.close()


def test_deletion_of_many(
    repository: ImageRepository, running_registry: Any, place: str
) -> None:
    tags = {f"w_2077_{n}": digest_of(str(n)) for n in range(120)}
    _push(running_registry, place, {**tags, "recommended": digest_of("kept")})
    running_registry.requests()
    doomed = [TaggedImage(digest, (tag,)) for tag, digest in tags.items()]
    assert list(repository.delete(doomed, _timeout())) == doomed
    assert _left(running_registry, place) == {"recommended": digest_of("kept")}
    counts = running_registry.requests()
    assert counts["DELETE"] == 120
    if place != "lab":
        # Three batches of at most 50.
        assert counts["POST"] == 3
    repository.close()


@pytest.mark.parametrize(
    "mode", [name for name, mode in MODES.items() if "GET" in mode.digest_in]
)
def test_deletion_is_authorized(
    mode: str, running_registry: Any, tmp_path: Path
) -> None:
    """Tokens that were granted for reading are of no use for it."""
    credentials = tmp_path / "credentials.json"
    auth = base64.b64encode(b"puller:sandbox").decode()
    auths = {running_registry.host: {"auth": auth}}
    credentials.write_text(json.dumps({"auths": auths}))
    running_registry.change(lambda: setattr(running_registry.server, "mode", mode))
    digest = digest_of("old")
    running_registry.push(w_1=digest, w_2=digest_of("new"))
    source = DockerSourceConfig("lab", running_registry.host, credentials)
    repository = make_image_repository(source, {})
    assert len(repository.images(_timeout())) == 2
    list(repository.delete([TaggedImage(digest, ("w_1",))], _timeout()))
    assert list(_left(running_registry, "lab")) == ["w_2"]
    repository.close()


def test_registries_that_do_not_delete_are_told(
    running_registry: Any, tmp_path: Path
) -> None:
    running_registry.change(
        lambda: setattr(running_registry.server, "deletable", False)
    )
    digest = digest_of("old")
    running_registry.push(w_1=digest)
    source = DockerSourceConfig("lab", running_registry.host, tmp_path / "none")
    repository = make_image_repository(source, {})
    with pytest.raises(NubladoError, match="does not delete images"):
        list(repository.delete([TaggedImage(digest, ("w_1",))], _timeout()))
    repository.close()


def test_what_was_deleted_before_a_failure_is_told(
    running_registry: Any, tmp_path: Path
) -> None:
    first, second = digest_of("first"), digest_of("second")
    running_registry.push(w_1=first, w_2=second)
    running_registry.fail(FaultRule(target="registry", path=second, status=418))
    source = DockerSourceConfig("lab", running_registry.host, tmp_path / "none")
    repository = make_image_repository(source, {})
    gone: list[TaggedImage] = []
    images = [TaggedImage(first, ("w_1",)), TaggedImage(second, ("w_2",))]
    with pytest.raises(NubladoError, match="418"):
        gone.extend(repository.delete(images, _timeout()))
    assert gone == images[:1]
    assert list(_left(running_registry, "lab")) == ["w_2"]
    repository.close()


def test_images_are_not_listed_where_a_digest_is_missing(
    running_registry: Any, tmp_path: Path
) -> None:
    running_registry.push(w_1=digest_of("1"), w_2=digest_of("2"))
    running_registry.fail(
        FaultRule(target="registry", path="/manifests/w_2", status=418)
    )
    source = DockerSourceConfig("lab", running_registry.host, tmp_path / "none")
    repository = make_image_repository(source, {})
    with pytest.raises(NubladoError, match=r"1 of 2 tags point to: w_2"):
        repository.images(_timeout())
    repository.close()


def test_a_tagged_image_that_another_has_tagged_meanwhile_stays(
    running_registry: Any,
) -> None:
    """Artifact Registry refuses to delete what has tags."""
    name = "rubin/sciplat/team/lab"
    digest = digest_of("old")
    running_registry.change(
        lambda: running_registry.server.repositories.update(
            {name: {"w_1": digest, "recommended": digest}}
        )
    )
    mirror = {"us-central1-docker.pkg.dev": f"http://{running_registry.host}"}
    repository = make_image_repository(_GOOGLE, mirror)
    with pytest.raises(NubladoError, match="is tagged"):
        list(repository.delete([TaggedImage(digest, ("w_1",))], _timeout()))
    assert list(_left(running_registry, name)) == ["recommended"]
    repository.close()
