"""Keep track of which images there are, and on which nodes.

A refresh replaces the inventory as a whole, so readers never wait. One that
fails keeps the images that were known. Until the first one has succeeded, the
images are those that an earlier process knew, or that nodes have.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import structlog

from nublado.config.model import ImagesConfig
from nublado.exceptions import NubladoError
from nublado.models.domain.docker import TAG_PATTERN, split_reference
from nublado.models.domain.image import ImageSelection, ResolvedImage
from nublado.models.domain.node import Node
from nublado.models.domain.remembered import Manifest, RememberedImages
from nublado.models.domain.rspimage import RSPImage, RSPImageCollection
from nublado.models.domain.source_report import SourceReport
from nublado.services.image_inventory import ImageInventory
from nublado.services.image_resolution import ImageResolver
from nublado.services.presence import Presence
from nublado.services.source.base import ImageSource
from nublado.timeout import Cancellation, Timeout

__all__ = ["ImageService"]


class ImageService:
    """Tracks images and the nodes that have them; used by all threads.

    Parameters
    ----------
    config
        Which images to prepull and to show.
    source
        Where images come from.
    """

    def __init__(self, config: ImagesConfig, source: ImageSource) -> None:
        self._config = config
        self._source = source
        self._cancellation = Cancellation()
        self._resolver = ImageResolver(source, self._cancellation)
        self._lock = threading.Lock()
        self._presence = Presence()
        nothing = RSPImageCollection(())
        self._inventory = ImageInventory(config, nothing, nothing)
        self._log = structlog.get_logger(__name__)

    def close(self) -> None:
        """End a refresh that is under way, and close the source."""
        self._cancellation.cancel()
        self._source.close()

    @property
    def report(self) -> SourceReport:
        """How the source was read in the last refresh."""
        return self._source.report

    @property
    def inventory(self) -> ImageInventory:
        """All that is known now.

        Callers that need several facts take them from one inventory, so that
        they are consistent.
        """
        return self._inventory

    @property
    def are_known(self) -> bool:
        """Whether there are images to offer, be they those last known."""
        return len(self._inventory.images) > 0 or not self._inventory.is_provisional

    # --- Refresh ---------------------------------------------------------

    def refresh(self, nodes: Iterable[Node]) -> None:
        """Read images from the source again, and combine them with the nodes.

        Only one thread at a time may refresh.

        Parameters
        ----------
        nodes
            All nodes that count, as they are now.

        Raises
        ------
        NubladoError
            Raised if the source fails; the images that were known stay, and
            are combined with the nodes.
        """
        began = time.monotonic()
        nodes = list(nodes)
        timeout = Timeout(
            "Image refresh", self._config.refresh_interval, self._cancellation
        )
        before = self._inventory
        try:
            images = self._source.images(before.images, timeout)
        except NubladoError:
            self._take(before.images, nodes, before.refreshed)
            raise
        self._take(images, nodes, datetime.now(UTC))
        self._log.info(
            "Refreshed images",
            images=len(images),
            nodes=len(nodes),
            seconds=round(time.monotonic() - began, 3),
        )

    def _take(
        self,
        images: RSPImageCollection,
        nodes: Iterable[Node],
        refreshed: datetime | None,
    ) -> None:
        with self._lock:
            self._inventory = ImageInventory.build(
                self._config,
                images,
                self._presence.observe(nodes, images.digests),
                refreshed,
            )

    def mark_prepulled(self, image: RSPImage, node: str) -> None:
        """Count an image as present on a node before the node reports it.

        Parameters
        ----------
        image
            The image, with digest.
        node
            Name of the node. One that is not there any more is ignored.
        """
        with self._lock:
            known = self._inventory.nodes.get(node)
            if image.digest is None or known is None:
                return
            self._presence.show(known, image.digest)
            self._inventory = self._inventory.with_prepulled(image, node)

    # --- Over a restart --------------------------------------------------

    def remember(self) -> RememberedImages:
        """Collect what the next process is to begin with."""
        with self._lock:
            inventory = self._inventory
            unlisted = self._presence.remember(inventory.nodes.values())
        return RememberedImages(
            registry=self._source.registry,
            repository=self._source.repository,
            tags=self._source.remembered(inventory.images),
            nodes=unlisted,
        )

    def recall(
        self, remembered: RememberedImages | None, nodes: Iterable[Node]
    ) -> None:
        """Begin with what an earlier process knew, and with what nodes have.

        Parameters
        ----------
        remembered
            What that process knew, if anything; images of another repository
            are ignored.
        nodes
            All nodes that count.
        """
        nodes = list(nodes)
        place = (self._source.registry, self._source.repository)
        if remembered and (remembered.registry, remembered.repository) != place:
            remembered = None
        on_nodes = self._listed_by(nodes)
        tags: Mapping[str, Manifest | None] = on_nodes
        if remembered is not None:
            self._presence.recall(remembered.nodes)
            tags = {t: m or on_nodes.get(t) for t, m in remembered.tags.items()}
        images = self._source.recalled(tags)
        self._take(images, nodes, None)
        if images:
            self._log.info(
                "Beginning with the images known last",
                images=len(images),
                remembered=remembered is not None,
            )

    def _listed_by(self, nodes: Iterable[Node]) -> dict[str, Manifest]:
        """Find tags of the repository, with digests, among the names on nodes.

        Where nodes differ, because a tag has moved, the digest counts that most
        of them have.
        """
        places = self._source.places
        found: dict[str, Counter[str]] = {}
        for node in nodes:
            for digest, names in node.names.items():
                for place, tag, _ in map(split_reference, names):
                    if tag and TAG_PATTERN.fullmatch(tag) and place in places:
                        found.setdefault(tag, Counter())[digest] += 1
        return {
            tag: Manifest(max(counts, key=lambda d: (counts[d], d)))
            for tag, counts in found.items()
        }

    # --- Use -------------------------------------------------------------

    def resolve(self, selection: ImageSelection) -> ResolvedImage:
        """Resolve a selection to an image.

        The source is only queried for what is not known.

        Raises
        ------
        InvalidDockerReferenceError
            Raised if a reference cannot be parsed, or lacks a tag.
        UnknownImageError
            Raised if there is no such image.
        ServiceUnavailableError
            Raised if the source has to be queried and fails.
        """
        return self._resolver.resolve(selection, self._inventory)
