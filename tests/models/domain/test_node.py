"""Nodes: what they have cached, and whether labs may run there."""

from __future__ import annotations

import pytest

from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.node import Node


def _node(taints: list[JSON], **spec: object) -> JSON:
    return {"metadata": {"name": "node"}, "spec": {"taints": taints, **spec}}


_TAINT = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("taint", "comment"),
    [
        (_TAINT, "Node is tainted (NoSchedule, gpu = yes)"),
        ({"key": "gpu", "effect": "NoExecute"}, "Node is tainted (NoExecute, gpu)"),
        ({"key": "gpu", "effect": "PreferNoSchedule"}, None),
    ],
)
def test_taint_that_is_not_tolerated_is_told(taint: JSON, comment: str | None) -> None:
    node = Node.from_kubernetes(_node([taint]), [])
    assert node.comment == comment
    assert node.eligible == (comment is None)


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"key": "gpu", "operator": "Equal", "value": "yes"}, True),
        ({"key": "gpu", "value": "yes", "effect": "NoSchedule"}, True),
        ({"key": "gpu", "operator": "Equal", "value": "no"}, False),
        ({"key": "gpu", "operator": "Equal"}, False),
        ({"operator": "Exists"}, True),
        ({"operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "gpu", "operator": "Exists", "tolerationSeconds": 60}, True),
    ],
)
def test_toleration_matches_effect_key_and_value(
    toleration: JSON, tolerated: bool
) -> None:
    node = Node.from_kubernetes(_node([_TAINT]), [toleration])
    assert node.eligible == tolerated


@pytest.mark.parametrize(("seconds", "tolerated"), [(None, True), (0, False)])
def test_toleration_for_a_while_does_not_count_against_eviction(
    seconds: int | None, tolerated: bool
) -> None:
    taint = {"key": "gpu", "effect": "NoExecute"}
    toleration = {"operator": "Exists", "tolerationSeconds": seconds}
    assert Node.from_kubernetes(_node([taint]), [toleration]).eligible == tolerated


def test_every_taint_has_to_be_tolerated() -> None:
    taints = [_TAINT, {"key": "b", "effect": "NoSchedule"}]
    node = Node.from_kubernetes(_node(taints), [{"key": "gpu", "operator": "Exists"}])
    assert node.comment == "Node is tainted (NoSchedule, b)"


def test_cordoned_node_is_not_eligible_whatever_is_tolerated() -> None:
    node = Node.from_kubernetes(_node([], unschedulable=True), [{"operator": "Exists"}])
    assert node.comment == "Node is cordoned"
    assert not node.eligible


def test_cached_images_are_those_with_a_digest() -> None:
    images = [
        {"names": ["example.org/lab@sha256:1", "example.org/lab:tag"], "sizeBytes": 5},
        {"names": ["example.org/other:tag"], "sizeBytes": 6},
        {"names": None},
    ]
    node = Node.from_kubernetes({**_node([]), "status": {"images": images}}, [])
    assert node.sizes == {"sha256:1": 5}


def test_image_can_be_added() -> None:
    node = Node("node").with_image("sha256:1", 5)
    assert node.sizes == {"sha256:1": 5}
    assert node.with_image("sha256:1", 6) is node


def test_bare_node_is_eligible() -> None:
    assert Node.from_kubernetes({"metadata": {"name": "node"}}, []) == Node("node")
