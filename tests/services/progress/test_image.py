"""What the image of a lab is called, and whether it has to be fetched."""

from __future__ import annotations

import pytest

from nublado.services.image_inventory import ImageInventory
from nublado.services.progress.image import LabImage
from tests.cluster import Cluster


@pytest.fixture
def inventory(cluster: Cluster) -> ImageInventory:
    return cluster.images().inventory


def test_an_image_that_is_known_has_its_name(inventory: ImageInventory) -> None:
    for image in inventory.images:
        named = LabImage.named(image.reference_with_digest, inventory)
        assert named.name == image.display_name


def test_one_that_is_not_is_named_by_its_tag(inventory: ImageInventory) -> None:
    moved = f"registry.example.org/sciplat/lab:w_2026_40@sha256:{'0' * 64}"
    assert LabImage.named(moved, inventory).name == "Weekly 2026_40"
    untagged = f"registry.example.org/sciplat/lab@sha256:{'0' * 64}"
    assert LabImage.named(untagged, inventory).name == untagged


ALL, SOME, NONE = frozenset({"a", "b"}), frozenset({"a"}), frozenset[str]()


@pytest.mark.parametrize(
    ("nodes", "node", "lacks"),
    [
        (ALL, None, False),
        (SOME, None, None),
        (NONE, None, True),
        (SOME, "a", False),
        (SOME, "b", True),
        (None, "a", None),
        (None, None, None),
    ],
)
def test_whether_it_has_to_be_fetched(
    nodes: frozenset[str] | None, node: str | None, lacks: bool | None
) -> None:
    assert LabImage("Weekly", nodes, ALL).lacks(node) is lacks


def test_nobody_knows_without_nodes() -> None:
    assert LabImage("Weekly", NONE, NONE).lacks(None) is None
