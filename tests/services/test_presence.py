"""Images on nodes whose lists are cut, late, or wrong."""

from __future__ import annotations

import pytest

from nublado.models.domain.node import Node
from nublado.services.presence import Presence

LAB = "sha256:lab"
OLD = "sha256:old"
KNOWN = {LAB, OLD}


def _node(
    *digests: str,
    uid: str = "1",
    others: int = 0,
    sizes: dict[str, int] | None = None,
    smallest: int = 100,
) -> Node:
    """A node that lists images of 1,000 bytes, and so many others."""
    listed = {digest: (sizes or {}).get(digest, 1000) for digest in digests}
    return Node(
        "node",
        uid=uid,
        sizes=listed,
        names={digest: (f"lab@{digest}",) for digest in digests},
        listed=len(digests) + others,
        smallest=smallest,
    )


def _observe(presence: Presence, node: Node) -> set[str]:
    (observed,) = presence.observe([node], KNOWN)
    return set(observed.sizes) & KNOWN


def test_what_a_pod_has_shown_counts_for_longer_than_a_refresh() -> None:
    presence = Presence()
    presence.show(_node(), LAB)
    assert [_observe(presence, _node()) for _ in range(4)] == [
        {LAB},
        {LAB},
        set(),
        set(),
    ]


def test_what_a_node_has_listed_is_gone_when_it_lists_it_no_more() -> None:
    presence = Presence()
    presence.show(_node(), LAB)
    assert _observe(presence, _node(LAB)) == {LAB}
    assert _observe(presence, _node()) == set()


def test_denials_count_in_a_row_only() -> None:
    presence = Presence()
    presence.show(_node(), LAB)
    full = _node(others=50)
    for node in (_node(), _node(), full, full, full):
        assert _observe(presence, node) == {LAB}
    assert _observe(presence, _node()) == set()


def test_full_list_says_nothing_about_images_as_small_as_its_last() -> None:
    presence = Presence()
    presence.show(_node(), LAB)
    full = _node(others=50, smallest=1000)
    assert [_observe(presence, full) for _ in range(9)] == [{LAB}] * 9
    assert _observe(presence, _node(LAB, others=49)) == {LAB}
    assert [_observe(presence, full) for _ in range(9)] == [{LAB}] * 9


def test_full_list_would_have_an_image_that_is_larger_than_its_last() -> None:
    presence = Presence()
    presence.observe([_node(LAB)], KNOWN)
    bystander = Node("other", uid="2", sizes={LAB: 1000})
    observed, _ = presence.observe([_node(others=50, smallest=999), bystander], KNOWN)
    assert LAB not in observed.sizes


def test_list_that_was_longer_before_is_not_cut() -> None:
    presence = Presence()
    assert _observe(presence, _node(LAB, others=80)) == {LAB}
    assert _observe(presence, _node(others=70, smallest=2000)) == set()


def test_image_of_unknown_size_may_be_left_out_of_a_full_list() -> None:
    presence = Presence()
    presence.show(_node(), LAB)
    full = _node(others=50, smallest=10**12)
    assert [_observe(presence, full) for _ in range(5)] == [{LAB}] * 5


@pytest.mark.parametrize("size", [None, 1000])
def test_image_may_have_more_names_than_a_node_lists(size: int | None) -> None:
    names = [f"mirror-{n}/lab@sha256:{n}" for n in range(5)]
    status = {"images": [{"names": names, "sizeBytes": 1000}]}
    metadata = {"name": "node", "uid": "1"}
    node = Node.from_kubernetes({"metadata": metadata, "status": status}, [])
    other = Node("other", uid="2", sizes={LAB: size} if size else {})
    presence = Presence()
    presence.show(node, LAB)
    for _ in range(5):
        observed, _ = presence.observe([node, other], KNOWN)
        assert LAB in observed.sizes


def test_node_of_the_same_name_is_another_node() -> None:
    presence = Presence()
    presence.show(_node(), LAB)
    assert _observe(presence, _node(others=50)) == {LAB}
    assert _observe(presence, _node(uid="2", others=50)) == set()


def test_node_that_went_away_is_forgotten() -> None:
    presence = Presence()
    presence.show(_node(), LAB)
    presence.observe([], KNOWN)
    assert _observe(presence, _node(others=50)) == set()


def test_images_that_do_not_matter_any_more_are_forgotten() -> None:
    presence = Presence()
    presence.show(_node(), LAB)
    presence.observe([_node(others=50)], {OLD})
    assert _observe(presence, _node(others=50)) == set()


def test_what_is_not_listed_outlives_the_process() -> None:
    presence = Presence()
    presence.show(_node(OLD), LAB)
    observed = presence.observe([_node(OLD, others=49)], KNOWN)
    remembered = presence.remember(observed)
    assert remembered["node"].digests == {LAB}
    following = Presence()
    following.recall(remembered)
    assert _observe(following, _node(OLD, others=49)) == {LAB, OLD}
    replaced = Presence()
    replaced.recall(remembered)
    assert _observe(replaced, _node(OLD, uid="2", others=49)) == {OLD}


def test_nothing_is_remembered_of_nodes_that_list_all() -> None:
    presence = Presence()
    observed = presence.observe([_node(LAB, OLD)], KNOWN)
    assert presence.remember(observed) == {}
