"""Images, their aliases, and the nodes that have them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from nublado.models.domain.node import Node
from nublado.models.domain.rspimage import RSPImage, RSPImageCollection
from nublado.models.domain.rsptag import RSPImageTag, RSPImageType


def _image(
    tag: str,
    digest: str | None = None,
    *,
    nodes: tuple[str, ...] = (),
    size: int | None = None,
) -> RSPImage:
    aliases = {"recommended", "recommended_c0027"}
    name = RSPImageTag.alias(tag) if tag in aliases else RSPImageTag.parse(tag)
    return RSPImage(
        "example.org", "lab", name, digest, nodes=frozenset(nodes), size=size
    )


def _images(**tags: str) -> RSPImageCollection:
    return RSPImageCollection(_image(tag, digest) for tag, digest in tags.items())


def _tag(images: RSPImageCollection, tag: str) -> RSPImage:
    image = images.get(tag)
    assert image is not None
    return image


def _names(images: RSPImageCollection | list[RSPImage]) -> list[str]:
    return [image.tag for image in images]


def test_reference_has_the_digest_if_it_is_known() -> None:
    assert _image("a").reference_with_digest == "example.org/lab:a"
    assert _image("a", "sha256:1").reference == "example.org/lab:a"
    assert _image("a", "sha256:1").reference_with_digest == (
        "example.org/lab:a@sha256:1"
    )


def test_image_replaces_one_with_the_same_tag() -> None:
    images = _images(w_2077_43="1", recommended="1")
    moved = RSPImageCollection([*images, _image("w_2077_43", "2")])
    assert len(moved) == 2
    assert _tag(moved, "w_2077_43").digest == "2"
    assert _tag(moved, "recommended").alias_target is None
    assert _tag(moved, "recommended").display_name == "Recommended"
    assert moved.by_digest("1") == _tag(moved, "recommended")


def test_alias_is_named_after_its_target() -> None:
    images = _images(recommended="1", w_2077_43="1", unknown="1")
    recommended = _tag(images, "recommended")
    assert recommended.display_name == "Recommended (Weekly 2077_43)"
    assert recommended.alias_target == "w_2077_43"
    assert recommended.aliases == {"w_2077_43", "unknown"}
    assert recommended.image_type is RSPImageType.ALIAS
    assert _tag(images, "unknown").image_type is RSPImageType.ALIAS
    assert _tag(images, "unknown").display_name == "Unknown (Weekly 2077_43)"
    assert _tag(images, "w_2077_43").aliases == {"recommended", "unknown"}


def test_parentheses_of_a_target_become_commas() -> None:
    target = "w_2077_43_c0027.001_x"
    images = RSPImageCollection([_image("recommended_c0027", "1"), _image(target, "1")])
    recommended = _tag(images, "recommended_c0027")
    assert recommended.display_name == (
        "Recommended (Weekly 2077_43, SAL Cycle 0027, Build 001 [x])"
    )
    assert recommended.cycle == 27


def test_alias_found_by_its_digest_is_named_as_a_configured_one() -> None:
    images = _images(
        **{"latest_weekly_c0027-arm64": "1", "w_2077_43_rsp19": "1", "latest": "2"}
    )
    alias = _tag(images, "latest_weekly_c0027-arm64")
    assert alias.display_name == "Latest Weekly (Weekly 2077_43, RSP Build 19)"
    assert _tag(images, "latest").display_name == "latest"


def test_alias_takes_over_the_cycle_of_its_target() -> None:
    target = _image("w_2077_43_c0027.001", "1")
    images = RSPImageCollection([_image("recommended", "1"), target])
    assert _tag(images, "recommended").cycle == 27


def test_aliases_stay_unresolved_until_a_target_is_added() -> None:
    images = _images(recommended="1", latest="1")
    assert _tag(images, "recommended").aliases == frozenset()
    assert _tag(images, "latest").image_type is RSPImageType.UNKNOWN
    images = RSPImageCollection([*images, _image("d_2077_10_23", "1")])
    assert _tag(images, "recommended").alias_target == "d_2077_10_23"
    assert _tag(images, "latest").aliases == {"recommended", "d_2077_10_23"}


def test_versioned_tags_of_one_digest_are_aliases_and_the_first_is_main() -> None:
    images = _images(latest="1", d_2077_10_23="1", r22_0_1="1")
    assert images.by_digest("1") == _tag(images, "d_2077_10_23")
    assert _tag(images, "latest").alias_target == "d_2077_10_23"
    assert _tag(images, "r22_0_1").aliases == {"d_2077_10_23", "latest"}
    assert _tag(images, "r22_0_1").alias_target is None
    subset = images.subset(dailies=1, releases=1)
    assert subset.by_digest("1") == _tag(images, "d_2077_10_23")


def test_experimental_images_keep_their_kind() -> None:
    images = _images(exp_a="1", w_2077_43="1")
    assert _tag(images, "exp_a").image_type is RSPImageType.EXPERIMENTAL
    assert _tag(images, "exp_a").aliases == {"w_2077_43"}
    assert images.by_digest("1") == _tag(images, "w_2077_43")
    assert images.by_digest("2") is None


def test_targets_of_aliases_can_be_hidden() -> None:
    images = _images(recommended="1", w_2077_43="1", w_2077_42="2")
    assert _names(images.all()) == ["recommended", "w_2077_43", "w_2077_42"]
    assert _names(images.all(hide_targets=True)) == ["recommended", "w_2077_42"]


def test_subset_remembers_what_an_alias_points_to() -> None:
    images = _images(recommended="1", w_2077_43="1")
    subset = images.subset(include=["recommended"]).mark_seen("1", "node")
    assert _tag(subset, "recommended").display_name == "Recommended (Weekly 2077_43)"


def test_each_digest_is_listed_once() -> None:
    images = RSPImageCollection(
        [
            *_images(recommended="1", w_2077_43="1", d_2077_10_23="1", latest="2"),
            _image("r22_0_2"),
        ]
    )
    assert _names(images.one_per_digest()) == ["w_2077_43", "latest"]


def test_node_has_an_image_under_all_its_names() -> None:
    images = _images(recommended="1", w_2077_43="1")
    seen = images.mark_seen("1", "node1", 1234).mark_seen("1", "node2")
    for image in seen.mark_seen("2", "node3"):
        assert image.nodes == {"node1", "node2"}
        assert image.size == 1234
    assert seen.by_digest("1") == seen.get("w_2077_43")
    assert seen.latest(RSPImageType.WEEKLY) == seen.get("w_2077_43")
    assert all(not image.nodes for image in images)


def test_nodes_tell_which_images_they_have() -> None:
    images = RSPImageCollection([*_images(recommended="1", w_2077_43="1"), _image("a")])
    nodes = [Node("a", sizes={"1": None}), Node("b", sizes={"1": 5, "2": 6})]
    located = images.mark_seen("1", "vanished").with_nodes(nodes)
    assert _tag(located, "recommended").nodes == {"a", "b"}
    assert _tag(located, "w_2077_43").size == 5
    assert _tag(located, "a").nodes == frozenset()
    assert _tag(located.with_nodes([]), "recommended").nodes == frozenset()


_TAGS = [
    "recommended",
    "recommended_c0027",
    "latest",
    "unknown_c0027",
    "exp_w_2077_43",
    "w_2077_43",
    "w_2077_42_c0027.001",
    "d_2077_10_23",
    "r22_0_1",
    "r23_0_0_rc1",
]
_DIGESTS = ["1", "2", "3"]


@st.composite
def _some_images(draw: st.DrawFn) -> list[RSPImage]:
    """Images with at most one versioned tag for each digest."""
    images = []
    versioned = set()
    for tag in draw(st.lists(st.sampled_from(_TAGS), unique=True)):
        digest = draw(st.sampled_from([None, *_DIGESTS]))
        nodes = draw(st.lists(st.sampled_from(["a", "b"]), unique=True, max_size=2))
        size = draw(st.sampled_from([None, 10, 20]))
        if digest and RSPImageTag.parse(tag).image_type.versioned:
            if digest in versioned:
                continue
            versioned.add(digest)
        images.append(_image(tag, digest, nodes=tuple(nodes), size=size))
    return images


@given(_some_images().flatmap(lambda i: st.tuples(st.just(i), st.permutations(i))))
def test_order_of_adding_does_not_matter(
    orders: tuple[list[RSPImage], list[RSPImage]],
) -> None:
    at_once, one_by_one = RSPImageCollection(orders[0]), RSPImageCollection(())
    for image in orders[1]:
        one_by_one = RSPImageCollection([*one_by_one, image])
    assert at_once.all() == one_by_one.all()
    for digest in _DIGESTS:
        assert at_once.by_digest(digest) == one_by_one.by_digest(digest)


@given(_some_images())
def test_aliases_are_mutual_and_on_the_same_nodes(images: list[RSPImage]) -> None:
    collection = RSPImageCollection(images)
    for image in collection:
        for alias in image.aliases:
            assert image.tag in _tag(collection, alias).aliases
            assert _tag(collection, alias).nodes == image.nodes


@given(_some_images(), st.sampled_from(_DIGESTS))
def test_marking_is_the_same_before_and_after_adding(
    images: list[RSPImage], digest: str
) -> None:
    marked = [
        replace(i, nodes=i.nodes | {"n"}) if i.digest == digest else i for i in images
    ]
    after = RSPImageCollection(images).mark_seen(digest, "n")
    assert RSPImageCollection(marked).all() == after.all()
