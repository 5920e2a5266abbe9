"""Which images are on which nodes: as pods have shown, and as nodes list them.

Nodes list only the largest of their images, and a while after they have them.
So an image does not vanish because it is not listed, but because the node says
otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from nublado.models.domain.node import Node
from nublado.models.domain.remembered import HeldImages

__all__ = ["Presence"]

_MOST_DENIALS = 2
"""How many refreshes in a row a node may lack what a pod has shown.

Two of them are one interval apart, which is how long the node may lag.
"""


@dataclass(frozen=True, slots=True)
class _Held:
    """An image on a node.

    Parameters
    ----------
    is_listed
        Whether the node has listed it since a pod has shown it, if one has.
    denials
        In how many refreshes in a row the node did not list it, although it
        would have.
    """

    is_listed: bool
    denials: int = 0

    def denied(self) -> _Held | None:
        """What becomes of it if the node says otherwise; None for nothing."""
        if self.is_listed or self.denials >= _MOST_DENIALS:
            return None
        return replace(self, denials=self.denials + 1)


@dataclass(frozen=True, slots=True)
class _OnNode:
    """The images of one node, by digest."""

    uid: str
    longest: int = 0
    held: Mapping[str, _Held] = field(default_factory=dict)

    def after(self, node: Node, sizes: Mapping[str, int]) -> _OnNode:
        """What is on the node now that it was observed once more."""
        if self.uid != node.uid:
            return _OnNode(node.uid, node.listed, _listed(node, sizes))
        kept: dict[str, _Held] = {}
        for digest, held in self.held.items():
            if digest not in sizes or digest in node.sizes:
                continue
            is_silent = node.may_omit(sizes[digest] or None, self.longest)
            following = held if is_silent else held.denied()
            if following is not None:
                kept[digest] = following
        return _OnNode(
            node.uid, max(self.longest, node.listed), kept | _listed(node, sizes)
        )


class Presence:
    """Remembers what was shown, from one refresh to the next.

    Not safe for several threads at a time.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, _OnNode] = {}

    def show(self, node: Node, digest: str) -> None:
        """Note that a pod has run an image on a node."""
        before = self._nodes.get(node.name, _OnNode(node.uid))
        held = {**before.held, digest: _Held(is_listed=False)}
        self._nodes[node.name] = replace(before, held=held)

    def observe(self, nodes: Iterable[Node], digests: Collection[str]) -> list[Node]:
        """Complete what nodes list by what they have without listing it.

        Parameters
        ----------
        nodes
            All nodes, as they are now; others are forgotten.
        digests
            Digests of the images that matter.

        Returns
        -------
        list
            The nodes, with all their images.
        """
        nodes = list(nodes)
        sizes = dict.fromkeys(digests, 0)
        for node in nodes:
            for digest in node.sizes.keys() & sizes.keys():
                sizes[digest] = max(sizes[digest], node.sizes[digest] or 0)
        self._nodes = {
            node.name: self._nodes.get(node.name, _OnNode(node.uid)).after(node, sizes)
            for node in nodes
        }
        return [
            node.with_images({d: sizes[d] or None for d in self._nodes[node.name].held})
            for node in nodes
        ]

    # --- Over a restart --------------------------------------------------

    def remember(self, nodes: Iterable[Node]) -> dict[str, HeldImages]:
        """Collect what nodes have without listing it, by name of node."""
        unlisted = {}
        for node in nodes:
            known = self._nodes.get(node.name)
            if known is not None and (lacking := known.held.keys() - node.names.keys()):
                unlisted[node.name] = HeldImages(known.uid, frozenset(lacking))
        return unlisted

    def recall(self, nodes: Mapping[str, HeldImages]) -> None:
        """Begin with what was remembered; node by node it may be outdated."""
        self._nodes = {
            name: _OnNode(
                images.uid, held=dict.fromkeys(images.digests, _Held(is_listed=False))
            )
            for name, images in nodes.items()
        }


def _listed(node: Node, digests: Collection[str]) -> dict[str, _Held]:
    return {d: _Held(is_listed=True) for d in node.sizes if d in digests}
