"""Images and prepulls as the API shows them."""

from __future__ import annotations

from pathlib import Path

from nublado.config.model import DockerSourceConfig, GoogleSourceConfig, ImagesConfig
from nublado.models.domain.image import (
    KnownImages,
    NodeImages,
    PrepullImage,
    PrepullStatus,
)
from nublado.models.domain.node import Node
from nublado.models.domain.rspimage import RSPImage, RSPImageCollection
from nublado.models.domain.rsptag import RSPImageTag
from nublado.models.v1.images import dump_images, dump_prepulls


def _image(tag: str, digest: str | None = None) -> RSPImage:
    named = RSPImageTag.alias(tag) if tag == "recommended" else RSPImageTag.parse(tag)
    return RSPImage("example.org", "lab", named, digest)


def test_images_are_shown_with_what_stands_out() -> None:
    images = RSPImageCollection(
        [
            _image("recommended", "sha256:1"),
            _image("w_2077_43", "sha256:1"),
            _image("latest", "sha256:1"),
            _image("exp_a"),
        ]
    )
    recommended, weekly = images.get("recommended"), images.get("w_2077_43")
    shown = dump_images(
        KnownImages(
            recommended=recommended,
            latest_weekly=weekly,
            latest_daily=None,
            latest_release=None,
            all=tuple(images),
            prepulled=frozenset({"w_2077_43"}),
        )
    )
    assert set(shown) == {"recommended", "latest_weekly", "all"}
    assert shown["recommended"] == {
        "reference": "example.org/lab:recommended",
        "tag": "recommended",
        "name": "Recommended (Weekly 2077_43)",
        "digest": "sha256:1",
        "aliases": ["latest", "w_2077_43"],
        "prepulled": False,
    }
    assert shown["latest_weekly"]["prepulled"]
    assert shown["all"][-1] == {
        "reference": "example.org/lab:exp_a",
        "tag": "exp_a",
        "name": "Experimental a",
        "aliases": [],
        "prepulled": False,
    }


def test_prepulls_are_shown_with_nodes_and_configuration() -> None:
    docker = DockerSourceConfig(
        repository="lab", registry="example.org", credentials_path=Path("/secret")
    )
    images = RSPImageCollection([_image("w_2077_43", "sha256:1")])
    node = Node("a", sizes={"sha256:1": 5})
    tainted = Node("b", eligible=False, comment="Node is cordoned")
    (image,) = images.with_nodes([node])
    status = PrepullStatus(
        prepulled=(PrepullImage(image, frozenset()),),
        pending=(PrepullImage(_image("exp_a", "sha256:2"), frozenset({"b", "a"})),),
        nodes=(NodeImages(node, ("x:b", "x:a")), NodeImages(tainted, ())),
    )
    shown = dump_prepulls(ImagesConfig(source=docker, pin=("exp_a",)), status)
    assert shown["config"] == {
        "source": {"type": "docker", "registry": "example.org", "repository": "lab"},
        "recommended_tag": "recommended",
        "num_releases": 1,
        "num_weeklies": 2,
        "num_dailies": 3,
        "refresh_interval": 300.0,
        "prepull_timeout": 600.0,
        "cycle": None,
        "pin": ["exp_a"],
        "alias_tags": [],
    }
    assert shown["images"]["prepulled"] == [
        {
            "reference": "example.org/lab:w_2077_43",
            "tag": "w_2077_43",
            "name": "Weekly 2077_43",
            "digest": "sha256:1",
            "size": 5,
            "nodes": ["a"],
            "missing": [],
        }
    ]
    assert shown["images"]["pending"][0]["missing"] == ["a", "b"]
    assert shown["images"]["pending"][0]["size"] is None
    assert shown["nodes"] == [
        {"name": "a", "eligible": True, "comment": None, "cached": ["x:b", "x:a"]},
        {
            "name": "b",
            "eligible": False,
            "comment": "Node is cordoned",
            "cached": [],
        },
    ]


def test_google_source_is_shown() -> None:
    google = GoogleSourceConfig(
        location="us-central1", project_id="p", repository="r", image="lab"
    )
    status = PrepullStatus(prepulled=(), pending=(), nodes=())
    assert dump_prepulls(ImagesConfig(source=google), status)["config"]["source"] == {
        "type": "google",
        "location": "us-central1",
        "project_id": "p",
        "repository": "r",
        "image": "lab",
    }
