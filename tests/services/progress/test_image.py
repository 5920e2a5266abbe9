"""What the image of a lab is called, and whether it has to be fetched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nublado.models.domain.node import Node
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
    ("having", "lacking", "node", "lacks"),
    [
        (ALL, NONE, None, False),
        (SOME, ALL - SOME, None, None),
        (NONE, ALL, None, True),
        (NONE, SOME, None, None),
        (SOME, ALL - SOME, "a", False),
        (SOME, ALL - SOME, "b", True),
        (SOME, NONE, "b", None),
        (SOME, NONE, "another", None),
    ],
)
def test_whether_it_has_to_be_fetched(
    having: frozenset[str],
    lacking: frozenset[str],
    node: str | None,
    lacks: bool | None,
) -> None:
    assert LabImage("Weekly", having, lacking, ALL).lacks(node) is lacks


def test_nobody_knows_without_nodes() -> None:
    assert LabImage("Weekly").lacks(None) is None


def test_nodes_are_asked_by_digest(inventory: ImageInventory) -> None:
    image = next(image for image in inventory.images if image.digest)
    digest = str(image.digest)
    nodes = (
        Node("has", sizes={digest: 1}),
        Node("lacks"),
        Node("is-full", listed=50, smallest=10**12),
    )
    known = replace(inventory, nodes={node.name: node for node in nodes})
    named = LabImage.named(image.reference_with_digest, known)
    assert (named.having, named.lacking) == (frozenset({"has"}), frozenset({"lacks"}))
    # A lab has run there since.
    named = LabImage.named(image.reference_with_digest, known, ["lacks"])
    assert (named.having, named.lacking) == (frozenset({"has", "lacks"}), frozenset())
