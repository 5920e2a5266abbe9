"""Resolve the image that a user has selected."""

from __future__ import annotations

from dataclasses import replace

from nublado.exceptions import Location, UnknownImageError
from nublado.models.domain.docker import DockerReference
from nublado.models.domain.image import ImageClass, ImageSelection, ResolvedImage
from nublado.models.domain.rspimage import RSPImage
from nublado.services.image_inventory import ImageInventory
from nublado.services.source.base import ImageSource
from nublado.timeout import Cancellation, Timeout

__all__ = ["ImageResolver"]

_LOOKUP_SECONDS = 30.0


class ImageResolver:
    """Resolves selections; the source is only queried for unknown digests.

    Parameters
    ----------
    source
        Where images come from.
    cancellation
        Cancels queries of the source.
    """

    def __init__(self, source: ImageSource, cancellation: Cancellation) -> None:
        self._source = source
        self._cancellation = cancellation

    def resolve(
        self, selection: ImageSelection, inventory: ImageInventory
    ) -> ResolvedImage:
        """Find the selected image, and its digest.

        Raises
        ------
        InvalidDockerReferenceError
            Raised if a reference cannot be parsed, or lacks a tag.
        UnknownImageError
            Raised if there is no such image.
        NubladoError
            Raised if the source has to be queried and fails.
        """
        location = ("body", "options", selection.option)
        chosen = str(getattr(selection, selection.option))
        match selection.option:
            case "image_class":
                image = inventory.of_class(ImageClass(chosen))
                message = f"No {chosen} image found"
            case "image_tag":
                image = inventory.images.get(chosen)
                message = f'Docker tag "{chosen}" not found'
            case _:
                reference = DockerReference.parse(chosen, location)
                image = self._by_reference(reference, inventory, location)
                message = f'Docker reference "{chosen}" not found'
        digest = self._digest_of(image) if image else None
        if image is None or digest is None:
            raise UnknownImageError(message, location)
        return ResolvedImage(image.reference, digest, image.tag, image.display_name)

    def _by_reference(
        self, reference: DockerReference, inventory: ImageInventory, location: Location
    ) -> RSPImage | None:
        place = (reference.registry, reference.repository)
        if place != (self._source.registry, self._source.repository):
            return None
        images = inventory.images
        tagged = images.get(reference.tag) if reference.tag else None
        if reference.digest is None or (tagged and tagged.digest == reference.digest):
            return tagged
        if known := images.by_digest(reference.digest):
            return known
        if reference.tag is None:
            raise reference.without_tag(location)
        if tagged is None or self._look_up(reference.digest) is None:
            return None
        # What the tag points to now, and is an alias of, is another image.
        return replace(tagged, digest=reference.digest, target=None)

    def _digest_of(self, image: RSPImage) -> str | None:
        return image.digest or self._look_up(image.tag)

    def _look_up(self, reference: str) -> str | None:
        timeout = Timeout("Image lookup", _LOOKUP_SECONDS, self._cancellation)
        return self._source.digest(reference, timeout)
