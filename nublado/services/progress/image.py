"""The image of a lab: what it is called, and which nodes have it."""

from __future__ import annotations

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
    nodes
        Nodes that have it; None where that is not known.
    eligible
        Nodes that may run labs.
    size
        In bytes; None where unknown.
    """

    name: str
    nodes: frozenset[str] | None = None
    eligible: frozenset[str] = frozenset()
    size: int | None = None

    @classmethod
    def named(cls, reference: str, inventory: ImageInventory) -> LabImage:
        """Find the image of a lab.

        Parameters
        ----------
        reference
            Its reference, with digest.
        inventory
            All images that are known.
        """
        _, tag, digest = split_reference(reference)
        known = inventory.images.get(tag) if tag else None
        if known is not None and known.digest == digest:
            return cls(known.display_name, known.nodes, inventory.eligible, known.size)
        return cls(RSPImageTag.parse(tag).display_name if tag else reference)

    def lacks(self, node: str | None) -> bool | None:
        """Whether a node has to fetch it; None where that is not known.

        Parameters
        ----------
        node
            The node; None while the lab has none.
        """
        if self.nodes is None or not self.eligible:
            return None
        if node is not None:
            return node not in self.nodes
        if self.eligible <= self.nodes:
            return False
        return None if self.eligible & self.nodes else True
