"""Nodes of the cluster: which images they have, and whether labs may run there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from nublado.models.domain.docker import split_reference
from nublado.models.domain.kubernetes import JSON, name_of

__all__ = ["Node"]

_SOFT_EFFECT = "PreferNoSchedule"
"""Effect of taints that the scheduler may ignore."""


@dataclass(frozen=True, slots=True)
class Node:
    """What matters about a node.

    Parameters
    ----------
    name
        Name of the node.
    eligible
        Whether labs may be scheduled there.
    comment
        Why they may not; None if they may.
    sizes
        Sizes in bytes of the images that it has, by digest.
    """

    name: str
    eligible: bool = True
    comment: str | None = None
    sizes: Mapping[str, int | None] = field(default_factory=dict)

    @classmethod
    def from_kubernetes(cls, node: JSON, tolerations: Iterable[JSON]) -> Self:
        """Read a node as Kubernetes describes it.

        Parameters
        ----------
        node
            The object.
        tolerations
            Tolerations of labs, in Kubernetes' spelling.
        """
        comment = _obstacle(node.get("spec") or {}, list(tolerations))
        sizes = {}
        for image in (node.get("status") or {}).get("images") or ():
            for name in image.get("names") or ():
                _, _, digest = split_reference(name)
                if digest:
                    sizes[digest] = image.get("sizeBytes")
        return cls(
            name=name_of(node),
            eligible=comment is None,
            comment=comment,
            sizes=sizes,
        )

    def with_image(self, digest: str, size: int | None = None) -> Self:
        """Make a copy that has one more image, of so many bytes if known."""
        if digest in self.sizes:
            return self
        return replace(self, sizes={**self.sizes, digest: size})


def _obstacle(spec: JSON, tolerations: list[JSON]) -> str | None:
    """Say what keeps labs off a node; None if nothing does."""
    if spec.get("unschedulable"):
        return "Node is cordoned"
    for taint in spec.get("taints") or ():
        if taint["effect"] == _SOFT_EFFECT:
            continue
        if not any(_tolerates(toleration, taint) for toleration in tolerations):
            key, value = taint["key"], taint.get("value")
            what = f"{key} = {value}" if value else key
            return f"Node is tainted ({taint['effect']}, {what})"
    return None


def _tolerates(toleration: JSON, taint: JSON) -> bool:
    """Tell whether a toleration matches a taint for good.

    See `taints and tolerations
    <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>`__.
    """
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    limited = toleration.get("tolerationSeconds") is not None
    if limited and taint["effect"] == "NoExecute":
        return False
    exists = toleration.get("operator") == "Exists"
    key = toleration.get("key")
    if key != taint["key"]:
        return exists and not key
    return exists or (toleration.get("value") or "") == (taint.get("value") or "")
