"""What the image service knows, and what it does not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nublado.config.model import DockerSourceConfig
from nublado.exceptions import (
    DockerRegistryError,
    OperationCancelledError,
    RegistryEmptyError,
)
from nublado.models.domain.image import ImageClass, ImageSelection
from nublado.models.domain.node import Node
from nublado.models.domain.remembered import RememberedImages
from nublado.models.domain.rspimage import RSPImage
from nublado.sandbox.faults import FaultRule
from nublado.services.image import ImageService
from nublado.services.source.docker import DockerImageSource

MakeService = Callable[..., ImageService]


def _node(name: str, *digests: str, eligible: bool = True) -> Node:
    return Node(
        name,
        eligible=eligible,
        sizes=dict.fromkeys(digests, 1000),
    )


def _tags(images: list[RSPImage]) -> list[str]:
    return [image.tag for image in images]


@pytest.fixture
def make_service(running_registry: Any, tmp_path: Path) -> Iterator[MakeService]:
    services = []
    running_registry.push(
        r22_0_1="sha256:1",
        w_2077_43="sha256:2",
        w_2077_42="sha256:3",
        w_2077_41="sha256:4",
        d_2077_10_23="sha256:5",
        exp_a="sha256:6",
        recommended="sha256:3",
    )

    def make(**settings: Any) -> ImageService:
        config = running_registry.images_config(tmp_path / "none", **settings)
        assert isinstance(config.source, DockerSourceConfig)
        source = DockerImageSource(config, config.source, {})
        services.append(ImageService(config, source))
        return services[-1]

    yield make
    for service in services:
        service.close()


def test_nothing_is_known_before_the_first_refresh(make_service: MakeService) -> None:
    service = make_service()
    assert service.inventory.refreshed is None
    assert service.inventory.menu() == []
    assert service.inventory.dropdown() == []
    assert service.inventory.known().recommended is None
    assert service.inventory.missing_by_node() == {}


def test_menu_has_what_every_eligible_node_has(make_service: MakeService) -> None:
    service = make_service()
    service.refresh(
        [
            _node("a", "sha256:1", "sha256:2", "sha256:6"),
            _node("b", "sha256:1", "sha256:6"),
            _node("c", eligible=False),
        ]
    )
    assert _tags(service.inventory.menu()) == ["recommended", "r22_0_1"]
    names = [image.display_name for image in service.inventory.menu()]
    assert names == ["Recommended (Weekly 2077_42)", "Release r22.0.1"]


def test_dropdown_has_everything_in_menu_order(make_service: MakeService) -> None:
    service = make_service()
    service.refresh([])
    assert _tags(service.inventory.dropdown()) == [
        "recommended",
        "r22_0_1",
        "w_2077_43",
        "w_2077_42",
        "w_2077_41",
        "d_2077_10_23",
        "exp_a",
    ]


def test_recommended_image_is_shown_even_without_its_digest(
    running_registry: Any, make_service: MakeService
) -> None:
    running_registry.fail(FaultRule("registry", "HEAD", "recommended", status=403))
    service = make_service()
    service.refresh([_node("a")])
    assert _tags(service.inventory.menu()) == ["recommended"]
    assert service.inventory.menu()[0].reference_with_digest.endswith(
        "/lab:recommended"
    )


def test_images_stand_out(make_service: MakeService) -> None:
    service = make_service(num_dailies=0)
    service.refresh([_node("a", "sha256:2", "sha256:6")])
    known = service.inventory.known()
    assert known.recommended is not None
    assert known.recommended.aliases == {"w_2077_42"}
    assert known.latest_weekly is not None
    assert known.latest_weekly.tag == "w_2077_43"
    assert known.latest_daily is None
    assert len(known.all) == 7
    assert known.prepulled == {"w_2077_43"}


def test_failed_refresh_keeps_the_images_and_follows_the_nodes(
    running_registry: Any, make_service: MakeService
) -> None:
    service = make_service()
    service.refresh([_node("a", "sha256:1")])
    before = service.inventory
    running_registry.fail(FaultRule("registry", status=403))
    for _ in range(3):
        with pytest.raises(DockerRegistryError):
            service.refresh([_node("b", "sha256:2")])
        inventory = service.inventory
        assert _tags(inventory.dropdown()) == _tags(before.dropdown())
        assert inventory.refreshed == before.refreshed
        assert set(inventory.nodes) == {"b"}
        assert _tags(inventory.menu()) == ["recommended", "w_2077_43"]
    running_registry.fail()
    service.refresh([_node("b")])
    assert service.inventory.refreshed != before.refreshed


def test_images_are_kept_if_the_source_suddenly_has_none(
    running_registry: Any, make_service: MakeService
) -> None:
    service = make_service()
    service.refresh([])
    tags = _tags(service.inventory.dropdown())
    for tag in tags:
        running_registry.remove(tag)
    with pytest.raises(RegistryEmptyError, match="has no tags any more"):
        service.refresh([])
    assert _tags(service.inventory.dropdown()) == tags
    empty = make_service()
    empty.refresh([])
    assert empty.are_known
    assert empty.inventory.dropdown() == []


def test_nodes_join_and_vanish(make_service: MakeService) -> None:
    service = make_service(num_weeklies=0, num_dailies=0)
    service.refresh([_node("a", "sha256:1", "sha256:3")])
    assert service.inventory.missing_by_node() == {}
    service.refresh([_node("a", "sha256:1", "sha256:3"), _node("b", "sha256:1")])
    missing = service.inventory.missing_by_node()
    assert {name: _tags(list(i)) for name, i in missing.items()} == {
        "b": ["recommended"]
    }
    service.refresh([_node("a", "sha256:1", "sha256:3"), _node("b", eligible=False)])
    assert service.inventory.missing_by_node() == {}


def test_prepulls_have_one_entry_for_each_digest(make_service: MakeService) -> None:
    service = make_service(num_dailies=0)
    service.refresh(
        [
            _node("b", "sha256:1", "sha256:2"),
            _node("a", "sha256:1", "sha256:3"),
            _node("c", "sha256:2", eligible=False),
        ]
    )
    status = service.inventory.prepulls()
    assert [p.image.tag for p in status.prepulled] == ["r22_0_1"]
    pending = {p.image.tag: p for p in status.pending}
    assert set(pending) == {"w_2077_43", "w_2077_42"}
    assert pending["w_2077_43"].missing == {"a"}
    assert pending["w_2077_43"].image.nodes == {"b", "c"}
    assert pending["w_2077_43"].image.size == 1000
    assert [images.node.name for images in status.nodes] == ["a", "b", "c"]


def test_nodes_have_the_tagged_images_of_the_repository_in_menu_order(
    running_registry: Any, make_service: MakeService
) -> None:
    service = make_service()
    service.refresh([_node("a", "sha256:3", "sha256:1", "sha256:elsewhere")])
    (images,) = service.inventory.prepulls().nodes
    lab = running_registry.reference
    assert images.cached == tuple(
        f"{lab}:{tag}" for tag in ("recommended", "r22_0_1", "w_2077_42")
    )


def test_images_for_one_architecture_are_neither_shown_nor_prepulled(
    running_registry: Any, make_service: MakeService
) -> None:
    running_registry.push(**{"w_2077_44-arm64": "sha256:44"})
    service = make_service()
    service.refresh([_node("a")])
    assert "w_2077_44-arm64" not in _tags(service.inventory.dropdown())
    missing = service.inventory.missing_by_node()["a"]
    assert "w_2077_44-arm64" not in _tags(list(missing))
    chosen = service.resolve(ImageSelection(image_tag="w_2077_44-arm64"))
    assert chosen.digest == "sha256:44"


def test_image_without_digest_is_not_prepulled(
    running_registry: Any, make_service: MakeService
) -> None:
    running_registry.fail(FaultRule("registry", "HEAD", "w_2077_43", status=403))
    service = make_service()
    service.refresh([_node("a")])
    prepulled = {image.tag for image in service.inventory.missing_by_node()["a"]}
    assert prepulled == {"r22_0_1", "w_2077_42", "d_2077_10_23"}


def test_prepulled_image_counts_at_once_and_for_a_while(
    make_service: MakeService,
) -> None:
    service = make_service(num_weeklies=0, num_dailies=0)
    service.refresh([_node("a", "sha256:3")])
    (image,) = service.inventory.missing_by_node()["a"]
    service.mark_prepulled(image, "a")
    service.mark_prepulled(image, "vanished")
    assert service.inventory.missing_by_node() == {}
    assert "r22_0_1" in _tags(service.inventory.menu())
    (node,) = service.inventory.prepulls().nodes
    assert image.reference in node.cached
    for _ in range(2):
        service.refresh([_node("a", "sha256:3")])
        assert service.inventory.missing_by_node() == {}
    service.refresh([_node("a", "sha256:3")])
    assert set(service.inventory.missing_by_node()) == {"a"}


def test_image_prepulled_during_a_refresh_counts(
    running_registry: Any, make_service: MakeService
) -> None:
    service = make_service(num_weeklies=0, num_dailies=0)
    service.refresh([_node("a", "sha256:3")])
    (image,) = service.inventory.missing_by_node()["a"]
    running_registry.fail(FaultRule("registry", "GET", delay=0.3))
    running_registry.requests()
    refresh = threading.Thread(target=service.refresh, args=([_node("a", "sha256:3")],))
    refresh.start()
    service.mark_prepulled(image, "a")
    assert service.inventory.missing_by_node() == {}
    refresh.join()
    assert service.inventory.missing_by_node() == {}


def test_refresh_ends_when_the_service_is_closed(
    running_registry: Any,
    make_service: MakeService,
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    service = make_service()
    rule = FaultRule("registry", "GET", status=503, retry_after=60)
    running_registry.fail(rule)
    raised: list[BaseException] = []

    def refresh() -> None:
        try:
            service.refresh([])
        except OperationCancelledError as e:
            raised.append(e)

    thread = threading.Thread(target=refresh)
    thread.start()
    eventually(lambda: rule.hits == 1)
    service.close()
    thread.join(5)
    assert len(raised) == 1


def test_several_thousand_tags_are_refreshed_with_few_requests(
    running_registry: Any, make_service: MakeService
) -> None:
    running_registry.push(
        **{f"w_{1900 + n // 52}_{n % 52:02}": f"sha256:w{n}" for n in range(3000)}
    )
    service = make_service()
    service.refresh([_node("a")])
    running_registry.requests()
    service.refresh([_node("a")])
    assert len(service.inventory.dropdown()) == 3007
    # Four pages; a release, two weeklies, a daily and the recommended image.
    assert running_registry.requests() == {"GET": 4, "HEAD": 5}


def test_service_resolves_what_it_knows(make_service: MakeService) -> None:
    service = make_service()
    service.refresh([])
    selection = ImageSelection(image_class=ImageClass.RECOMMENDED)
    assert service.resolve(selection).digest == "sha256:3"


def _listing(name: str, *images: list[str]) -> Node:
    """A node as Kubernetes describes it, with names of its images."""
    listed = [{"names": names, "sizeBytes": 1000} for names in images]
    metadata = {"name": name, "uid": name}
    node = {"metadata": metadata, "status": {"images": listed}}
    return Node.from_kubernetes(node, [])


def test_images_known_last_are_used_until_the_source_is_read(
    running_registry: Any, make_service: MakeService
) -> None:
    earlier = make_service()
    earlier.refresh([_node("a", "sha256:1")])
    remembered = RememberedImages.decode(earlier.remember().encode(100_000))
    running_registry.fail(FaultRule("registry", status=503))
    service = make_service()
    assert not service.are_known
    service.recall(remembered, [_node("a", "sha256:1", "sha256:2")])
    assert service.are_known
    assert service.inventory.is_provisional
    assert _tags(service.inventory.dropdown()) == _tags(earlier.inventory.dropdown())
    assert _tags(service.inventory.menu()) == ["recommended", "r22_0_1", "w_2077_43"]
    running_registry.requests()
    selection = ImageSelection(image_class="recommended")
    assert service.resolve(selection).digest == "sha256:3"
    assert service.resolve(selection).display_name == "Recommended (Weekly 2077_42)"
    assert running_registry.requests() == {}


def test_images_are_remembered_whatever_the_cycle(
    running_registry: Any, make_service: MakeService
) -> None:
    """The next process may be configured for another one."""
    running_registry.push(**{"w_2077_44_c0030.001": "sha256:30"})
    earlier = make_service(cycle=30)
    earlier.refresh([])
    assert _tags(earlier.inventory.dropdown()) == [
        "recommended",
        "w_2077_44_c0030.001",
    ]
    service = make_service()
    service.recall(earlier.remember(), [])
    assert len(service.inventory.dropdown()) == 8


def test_images_of_another_repository_are_not_recalled(
    make_service: MakeService,
) -> None:
    earlier = make_service()
    earlier.refresh([])
    service = make_service()
    service.recall(replace(earlier.remember(), repository="other"), [])
    assert not service.are_known


def test_images_begin_from_what_nodes_have(
    running_registry: Any, make_service: MakeService
) -> None:
    lab = running_registry.reference
    service = make_service()
    service.recall(
        None,
        [
            _listing("a", [f"{lab}@sha256:3", f"{lab}:w_2077_42"]),
            _listing("b", [f"{lab}@sha256:3", f"{lab}:w_2077_42"], ["<none>@<none>"]),
            _listing("c", [f"{lab}@sha256:4", f"{lab}:w_2077_42", f"{lab}:<none>"]),
            _listing("d", ["other/lab@sha256:5", "other/lab:w_1"], [f"{lab}:w_2"]),
        ],
    )
    assert _tags(service.inventory.dropdown()) == ["w_2077_42"]
    assert service.inventory.dropdown()[0].digest == "sha256:3"
    assert service.inventory.dropdown()[0].nodes == {"a", "b"}
    assert service.resolve(ImageSelection(image_tag="w_2077_42")).digest == "sha256:3"


def test_digest_that_was_never_looked_up_may_be_on_a_node(
    running_registry: Any, make_service: MakeService
) -> None:
    earlier = make_service()
    earlier.refresh([])
    running_registry.fail(FaultRule("registry", status=503))
    lab = running_registry.reference
    service = make_service()
    service.recall(
        earlier.remember(), [_listing("a", [f"{lab}@sha256:4", f"{lab}:w_2077_41"])]
    )
    assert service.resolve(ImageSelection(image_tag="w_2077_41")).digest == "sha256:4"


@pytest.mark.parametrize(
    "name", [None, "", "<none>", "<none>@<none>", "<none>:<none>", "lab@<none>"]
)
def test_dangling_names_are_nothing(name: str | None) -> None:
    for names in ([name], None):
        image = {"names": names, "sizeBytes": 1}
        node = {"metadata": {"name": "a"}, "status": {"images": [image, None]}}
        read = Node.from_kubernetes(node, [])
        assert (read.sizes, read.names, read.listed) == ({}, {}, 1)
