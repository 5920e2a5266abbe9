"""Resolve the image that a user has selected."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import replace

import structlog

from nublado.exceptions import (
    DockerRegistryError,
    GoogleRegistryError,
    Location,
    NubladoError,
    OperationCancelledError,
    OperationTimeoutError,
    ServiceUnavailableError,
    UnknownImageError,
)
from nublado.models.domain.docker import TAG_PATTERN, DockerReference
from nublado.models.domain.image import ImageClass, ImageSelection, ResolvedImage
from nublado.models.domain.rspimage import RSPImage
from nublado.models.domain.rsptag import RSPImageTag
from nublado.services.image_inventory import ImageInventory
from nublado.services.source.base import ImageSource
from nublado.timeout import Cancellation, Timeout

__all__ = ["ImageResolver"]

_LOOKUP_SECONDS = 10.0
_MOST_WAITING = 16
_RETRY_SECONDS = 10
_LONGEST_RETRY_SECONDS = 300

_REGISTRY_ERRORS = (DockerRegistryError, GoogleRegistryError, OperationTimeoutError)


class ImageResolver:
    """Resolves selections; the source is only queried for what is not known.

    Parameters
    ----------
    source
        Where images come from.
    cancellation
        Cancels queries of the source.
    """

    def __init__(self, source: ImageSource, cancellation: Cancellation) -> None:
        self._source = source
        self._lookups = _Lookups(source, cancellation)

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
        ServiceUnavailableError
            Raised if the source has to be queried and fails.
        """
        location = ("body", "options", selection.option)
        chosen = str(getattr(selection, selection.option))
        match selection.option:
            case "image_class":
                image = self._of_class(ImageClass(chosen), inventory)
                message = f"No {chosen} image found"
            case "image_tag":
                image = self._tagged(chosen, inventory)
                message = f'Docker tag "{chosen}" not found'
            case _:
                reference = DockerReference.parse(chosen, location)
                image = self._by_reference(reference, inventory, location)
                message = f'Docker reference "{chosen}" not found'
        digest = self._digest_of(image) if image else None
        if image is None or digest is None:
            raise UnknownImageError(message, location)
        return ResolvedImage(image.reference, digest, image.tag, image.display_name)

    def _of_class(
        self, image_class: ImageClass, inventory: ImageInventory
    ) -> RSPImage | None:
        found = inventory.of_class(image_class)
        if found is not None or not inventory.is_provisional:
            return found
        if image_class is ImageClass.RECOMMENDED:
            return self._tagged(inventory.config.recommended_tag, inventory)
        raise ServiceUnavailableError(
            f"{self._source.registry} has not told yet which images there are, so the"
            f" {image_class} one is not known; try again",
            _RETRY_SECONDS,
        )

    def _tagged(self, tag: str, inventory: ImageInventory) -> RSPImage | None:
        """Find a tag; before the source has been read, any may exist."""
        found = inventory.images.get(tag)
        if found is not None or not inventory.is_provisional:
            return found
        if not TAG_PATTERN.fullmatch(tag):
            return None
        parsed = RSPImageTag.parse(tag)
        return RSPImage(self._source.registry, self._source.repository, parsed)

    def _by_reference(
        self, reference: DockerReference, inventory: ImageInventory, location: Location
    ) -> RSPImage | None:
        place = (reference.registry, reference.repository)
        if place != (self._source.registry, self._source.repository):
            return None
        tagged = self._tagged(reference.tag, inventory) if reference.tag else None
        if reference.digest is None or (tagged and tagged.digest == reference.digest):
            return tagged
        if known := inventory.images.by_digest(reference.digest):
            return known
        if reference.tag is None:
            raise reference.without_tag(location)
        if tagged is None or not self._exists(reference.digest, inventory):
            return None
        # What the tag points to now, and is an alias of, is another image.
        return replace(tagged, digest=reference.digest, target=None)

    def _exists(self, digest: str, inventory: ImageInventory) -> bool:
        """Whether there is such an image: in the registry, or at least on a node."""
        try:
            return self._lookups.digest(digest) is not None
        except ServiceUnavailableError:
            if inventory.lists(self._source.names_of(digest)):
                return True
            raise

    def _digest_of(self, image: RSPImage) -> str | None:
        return image.digest or self._lookups.digest(image.tag)


class _Lookups:
    """Queries of the source that requests wait for.

    Requests for the same image share one, and only so many wait at a time:
    while a registry is slow, threads are left for all other requests.

    Parameters
    ----------
    source
        What is queried.
    cancellation
        Cancels queries.
    """

    def __init__(self, source: ImageSource, cancellation: Cancellation) -> None:
        self._source = source
        self._cancellation = cancellation
        self._waiting = threading.BoundedSemaphore(_MOST_WAITING)
        self._lock = threading.Lock()
        self._current: dict[str, Future[str | None]] = {}
        self._log = structlog.get_logger(__name__)

    def digest(self, reference: str) -> str | None:
        """Look up the digest of a tag, or whether there is a digest.

        Returns
        -------
        str or None
            The digest; None if there is no such image.

        Raises
        ------
        ServiceUnavailableError
            Raised if the source fails, or too many requests wait for it.
        """
        if not self._waiting.acquire(blocking=False):
            raise self._unavailable(reference, "too many requests wait for it")
        try:
            return self._shared(reference)
        except OperationCancelledError:
            raise ServiceUnavailableError("Service is stopping, try again") from None
        except _REGISTRY_ERRORS as e:
            self._log.warning("Cannot look up image", image=reference, error=str(e))
            raise self._unavailable(reference, str(e), e) from e
        finally:
            self._waiting.release()

    def _shared(self, reference: str) -> str | None:
        mine: Future[str | None] = Future()
        with self._lock:
            running = self._current.setdefault(reference, mine)
        timeout = Timeout("Image lookup", _LOOKUP_SECONDS, self._cancellation)
        if running is not mine:
            try:
                return running.result(timeout.left())
            except FutureTimeoutError:
                raise OperationTimeoutError("Image lookup", _LOOKUP_SECONDS) from None
        try:
            mine.set_result(self._source.digest(reference, timeout))
        except BaseException as e:
            mine.set_exception(e)
            raise
        finally:
            with self._lock:
                del self._current[reference]
        return mine.result()

    def _unavailable(
        self, reference: str, reason: str, error: NubladoError | None = None
    ) -> ServiceUnavailableError:
        seconds = getattr(error, "retry_after", 0.0) or _RETRY_SECONDS
        return ServiceUnavailableError(
            f"Cannot ask {self._source.registry} for {reference} now, try again: "
            f"{reason}",
            min(int(seconds), _LONGEST_RETRY_SECONDS),
        )
