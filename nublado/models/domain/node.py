"""Nodes of the cluster: which images they have, and whether labs may run there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from nublado.models.domain.docker import DIGEST_PATTERN, split_reference
from nublado.models.domain.kubernetes import JSON, name_of, uid_of

__all__ = ["Node"]

_MOST_LISTED = 50
"""How many images a node lists unless its kubelet is configured otherwise."""

_MOST_NAMES = 5
"""How many names of an image a node lists."""

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
    names
        Names of the images that it lists, by digest.
    uid
        Distinguishes it from others that had the same name.
    listed
        How many images it lists, those without digest included.
    smallest
        Size in bytes of the smallest of these.
    crowded
        Sizes in bytes of those that may have more names than are listed.

    References
    ----------
    https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/
    """

    name: str
    eligible: bool = True
    comment: str | None = None
    sizes: Mapping[str, int | None] = field(default_factory=dict)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    uid: str = ""
    listed: int = 0
    smallest: int = 0
    crowded: frozenset[int | None] = frozenset()

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
        images = [i for i in (node.get("status") or {}).get("images") or () if i]
        sizes: dict[str, int | None] = {}
        names: dict[str, tuple[str, ...]] = {}
        for image in images:
            own = tuple(name for name in image.get("names") or () if name)
            for digest in filter(None, map(_digest_in, own)):
                sizes[digest] = image.get("sizeBytes")
                names[digest] = own
        return cls(
            name=name_of(node),
            eligible=comment is None,
            comment=comment,
            sizes=sizes,
            names=names,
            uid=uid_of(node),
            listed=len(images),
            smallest=min((i.get("sizeBytes") or 0 for i in images), default=0),
            crowded=frozenset(
                image.get("sizeBytes")
                for image in images
                if len(image.get("names") or ()) >= _MOST_NAMES
            ),
        )

    def may_omit(self, size: int | None, longest: int = 0) -> bool:
        """Whether it may have an image without listing it.

        Nodes list the largest of their images only, and a few names of each.

        Parameters
        ----------
        size
            Size of the image in bytes; None if it is not known.
        longest
            How many images it has listed at a time, at most.
        """
        is_full = self.listed >= max(_MOST_LISTED, longest)
        if size is None:
            return is_full or bool(self.crowded)
        return (is_full and size <= self.smallest) or size in self.crowded

    def with_image(self, digest: str, size: int | None = None) -> Self:
        """Make a copy that has one more image, of so many bytes if known."""
        return self.with_images({digest: size})

    def with_images(self, sizes: Mapping[str, int | None]) -> Self:
        """Make a copy that has more images, of so many bytes if known."""
        if sizes.keys() <= self.sizes.keys():
            return self
        return replace(self, sizes={**sizes, **self.sizes})


def _digest_in(name: str) -> str | None:
    """Digest in the name of an image; what has lost its name is ``<none>``."""
    _, _, digest = split_reference(name)
    return digest if digest and DIGEST_PATTERN.fullmatch(digest) else None


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
