"""The image of a lab: what it is called, and which nodes have it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from nublado.models.domain.docker import split_reference
from nublado.models.domain.rsptag import RSPImageTag
from nublado.services.image_inventory import ImageInventory

__all__ = ["LabImage"]


@dataclass(frozen=True, slots=True)
class LabImage:
    """The image of a lab.

    Parameters
    ----------
    name
        Name for people.
    having, lacking
        Nodes that have it, and nodes that do not; of others nobody knows.
    eligible
        Nodes that may run labs.
    size
        In bytes; None where unknown.
    """

    name: str
    having: frozenset[str] = frozenset()
    lacking: frozenset[str] = frozenset()
    eligible: frozenset[str] = frozenset()
    size: int | None = None

    @classmethod
    def named(
        cls, reference: str, inventory: ImageInventory, seen: Collection[str] = ()
    ) -> LabImage:
        """Find the image of a lab.

        Parameters
        ----------
        reference
            Its reference, with digest.
        inventory
            All images that are known, and the nodes.
        seen
            Nodes that have run it since they were looked at.
        """
        _, tag, digest = split_reference(reference)
        known = inventory.images.get(tag) if tag else None
        if known is not None and known.digest not in (digest, None):
            known = None
        size = known.size if known is not None else None
        nodes = inventory.nodes.values()
        having = {node.name for node in nodes if digest and digest in node.sizes}
        having.update(seen)
        unsure = {node.name for node in nodes if digest is None or node.may_omit(size)}
        return cls(
            name=known.display_name if known is not None else _name(tag, reference),
            having=frozenset(having),
            lacking=frozenset(inventory.nodes) - having - unsure,
            eligible=inventory.eligible,
            size=size,
        )

    def lacks(self, node: str | None) -> bool | None:
        """Whether a node has to fetch it; None where that is not known.

        Parameters
        ----------
        node
            The node; None while the lab has none.
        """
        candidates = self.eligible if node is None else {node}
        if candidates and candidates <= self.having:
            return False
        return True if candidates and candidates <= self.lacking else None


def _name(tag: str | None, reference: str) -> str:
    return RSPImageTag.parse(tag).display_name if tag else reference
