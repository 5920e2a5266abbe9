"""What is known about images at one moment: which exist, and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from nublado.config.model import ImagesConfig
from nublado.models.domain.image import (
    ImageClass,
    KnownImages,
    NodeImages,
    PrepullImage,
    PrepullStatus,
)
from nublado.models.domain.node import Node
from nublado.models.domain.rspimage import RSPImage, RSPImageCollection
from nublado.models.domain.rsptag import RSPImageType
from nublado.services.source.base import choose_prepulled

__all__ = ["ImageInventory"]

_CLASSES = {
    ImageClass.LATEST_RELEASE: RSPImageType.RELEASE,
    ImageClass.LATEST_WEEKLY: RSPImageType.WEEKLY,
    ImageClass.LATEST_DAILY: RSPImageType.DAILY,
}


@dataclass(frozen=True, slots=True)
class ImageInventory:
    """A snapshot of all images; immutable.

    Parameters
    ----------
    config
        Which images to prepull and to show.
    images
        All images.
    to_prepull
        Those of them that every eligible node is to have.
    nodes
        The nodes by name.
    eligible
        Names of the nodes that may run labs.
    refreshed
        When it was taken; None before the source has been read. Until then
        the images are those last known, and others may exist.
    """

    config: ImagesConfig
    images: RSPImageCollection
    to_prepull: RSPImageCollection
    nodes: Mapping[str, Node] = field(default_factory=dict)
    eligible: frozenset[str] = frozenset()
    refreshed: datetime | None = None

    @classmethod
    def build(
        cls,
        config: ImagesConfig,
        images: RSPImageCollection,
        nodes: Iterable[Node],
        refreshed: datetime | None,
    ) -> Self:
        """Combine the images of a source with the nodes."""
        by_name = {node.name: node for node in nodes}
        located = images.with_nodes(by_name.values())
        return cls(
            config=config,
            images=located,
            to_prepull=choose_prepulled(located, config),
            nodes=by_name,
            eligible=frozenset(n.name for n in by_name.values() if n.eligible),
            refreshed=refreshed,
        )

    def with_prepulled(self, image: RSPImage, node: str) -> Self:
        """Make a copy in which a node has one more image.

        Parameters
        ----------
        image
            The image, with digest.
        node
            Name of the node. One that is not there any more is ignored.
        """
        if image.digest is None or node not in self.nodes:
            return self
        images = self.images.mark_seen(image.digest, node, image.size)
        seen = self.nodes[node].with_image(image.digest, image.size)
        return replace(
            self,
            images=images,
            to_prepull=choose_prepulled(images, self.config),
            nodes={**self.nodes, node: seen},
        )

    @property
    def is_provisional(self) -> bool:
        """Whether the source may have images that are not known yet."""
        return self.refreshed is None

    def lists(self, names: Iterable[str]) -> bool:
        """Whether a node lists an image by one of these names."""
        wanted = set(names)
        return any(
            not wanted.isdisjoint(own)
            for node in self.nodes.values()
            for own in node.names.values()
        )

    # --- For users -------------------------------------------------------

    def of_class(self, image_class: ImageClass) -> RSPImage | None:
        """Find the image that ``image_class`` picks."""
        if image_class is ImageClass.RECOMMENDED:
            return self.to_prepull.get(self.config.recommended_tag)
        return self.to_prepull.latest(_CLASSES[image_class])

    def is_everywhere(self, image: RSPImage) -> bool:
        """Whether every eligible node has an image."""
        return image.digest is not None and self.eligible <= image.nodes

    def menu(self) -> list[RSPImage]:
        """List the images that start fast, the recommended one always and first."""
        recommended = self.of_class(ImageClass.RECOMMENDED)
        others = [
            image
            for image in self.to_prepull.all(hide_targets=True)
            if image is not recommended and self.is_everywhere(image)
        ]
        return [recommended, *others] if recommended else others

    def dropdown(self) -> list[RSPImage]:
        """List all images in the order of the menu.

        Those for one architecture only may not run where a lab ends up.
        """
        return [image for image in self.images if image.architecture is None]

    def known(self) -> KnownImages:
        """Collect all images, and the notable ones among them."""
        return KnownImages(
            recommended=self.of_class(ImageClass.RECOMMENDED),
            latest_weekly=self.of_class(ImageClass.LATEST_WEEKLY),
            latest_daily=self.of_class(ImageClass.LATEST_DAILY),
            latest_release=self.of_class(ImageClass.LATEST_RELEASE),
            all=tuple(self.images),
            prepulled=frozenset(i.tag for i in self.images if self.is_everywhere(i)),
        )

    # --- For prepulling --------------------------------------------------

    def prepulls(self) -> PrepullStatus:
        """Report what has been prepulled where; one entry for each digest."""
        images = [
            PrepullImage(image, self.eligible - image.nodes)
            for image in self.to_prepull.one_per_digest()
        ]
        return PrepullStatus(
            prepulled=tuple(i for i in images if not i.missing),
            pending=tuple(i for i in images if i.missing),
            nodes=tuple(self._node_images()),
        )

    def _node_images(self) -> Iterator[NodeImages]:
        cached: dict[str, list[str]] = {name: [] for name in sorted(self.nodes)}
        for image in self.images:
            for node in image.nodes:
                cached[node].append(image.reference)
        for name, references in cached.items():
            yield NodeImages(self.nodes[name], tuple(references))

    def missing_by_node(self) -> dict[str, tuple[RSPImage, ...]]:
        """List the images that eligible nodes still lack, one for each digest."""
        missing = {name: self.missing_on(name) for name in sorted(self.eligible)}
        return {name: lacking for name, lacking in missing.items() if lacking}

    def missing_on(self, node: str) -> tuple[RSPImage, ...]:
        """List the images that a node still lacks, none if it is not eligible."""
        if node not in self.eligible:
            return ()
        images = self.to_prepull.one_per_digest()
        return tuple(image for image in images if node not in image.nodes)
