"""Keep track of which images there are, and on which nodes.

A refresh replaces the inventory as a whole, so readers never wait, and a
refresh that fails changes nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime

import structlog

from nublado.config.model import ImagesConfig
from nublado.models.domain.image import ImageSelection, ResolvedImage
from nublado.models.domain.node import Node
from nublado.models.domain.rspimage import RSPImage, RSPImageCollection
from nublado.models.domain.source_report import SourceReport
from nublado.services.image_inventory import ImageInventory
from nublado.services.image_resolution import ImageResolver
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
        self._refreshes = 0
        self._prepulled: dict[tuple[str, str], tuple[RSPImage, int]] = {}
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
            Raised if the source fails; what was known before stays.
        """
        began = time.monotonic()
        nodes = list(nodes)
        timeout = Timeout(
            "Image refresh", self._config.refresh_interval, self._cancellation
        )
        images = self._source.images(self._inventory.images, timeout)
        inventory = ImageInventory.build(self._config, images, nodes, datetime.now(UTC))
        with self._lock:
            for image, node in self._recently_prepulled():
                inventory = inventory.with_prepulled(image, node)
            self._inventory = inventory
        self._log.info(
            "Refreshed images",
            images=len(images),
            nodes=len(nodes),
            seconds=round(time.monotonic() - began, 3),
        )

    def mark_prepulled(self, image: RSPImage, node: str) -> None:
        """Count an image as present on a node before the node reports it.

        Parameters
        ----------
        image
            The image, with digest.
        node
            Name of the node.
        """
        if image.digest is None:
            return
        with self._lock:
            self._prepulled[node, image.digest] = (image, self._refreshes)
            self._inventory = self._inventory.with_prepulled(image, node)

    def _recently_prepulled(self) -> list[tuple[RSPImage, str]]:
        """List what was prepulled recently; forget the rest.

        Nodes may take a while to report an image, so a prepulled one counts
        through two refreshes. What a node does not report by then is missing.
        """
        self._prepulled = {
            key: (image, refresh)
            for key, (image, refresh) in self._prepulled.items()
            if refresh >= self._refreshes - 1
        }
        self._refreshes += 1
        return [(image, node) for (node, _), (image, _) in self._prepulled.items()]

    def resolve(self, selection: ImageSelection) -> ResolvedImage:
        """Resolve a selection to an image.

        The source is only queried for a digest that is not known.

        Raises
        ------
        InvalidDockerReferenceError
            Raised if a reference cannot be parsed, or lacks a tag.
        UnknownImageError
            Raised if there is no such image.
        NubladoError
            Raised if the source has to be queried and fails.
        """
        return self._resolver.resolve(selection, self._inventory)
