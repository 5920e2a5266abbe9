"""A repository of images as a whole: all tags and digests, and deletion.

The service itself only reads what it shows; see `nublado.services.source`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping

from nublado.config.model import DockerSourceConfig, GoogleSourceConfig
from nublado.exceptions import NubladoError
from nublado.models.domain.image_deletion import TaggedImage
from nublado.models.domain.rspimage import RSPImage, RSPImageCollection
from nublado.models.domain.rsptag import RSPImageTag
from nublado.storage.docker import DockerRegistryClient
from nublado.storage.google_registry import GoogleImage, GoogleRegistryClient
from nublado.timeout import Timeout

__all__ = ["ImageRepository", "make_image_repository"]

_MOST_NAMED = 5
_BATCH = 50


class ImageRepository(ABC):
    """All images of a repository, whatever the service shows of them.

    Parameters
    ----------
    registry, repository
        Where it is, as references name it.
    """

    def __init__(self, registry: str, repository: str) -> None:
        self.registry = registry
        self.repository = repository

    @abstractmethod
    def tags(self, timeout: Timeout) -> list[str]:
        """List all tags.

        Raises
        ------
        NubladoError
            Raised if the registry fails.
        """

    def images(self, timeout: Timeout) -> RSPImageCollection:
        """List all images, each with its digest.

        Raises
        ------
        NubladoError
            Raised if the registry fails, also if that is for one tag only.
        """
        return RSPImageCollection(
            RSPImage(self.registry, self.repository, RSPImageTag.parse(tag), digest)
            for tag, digest in self._digests(timeout).items()
        )

    @abstractmethod
    def delete(
        self, images: Collection[TaggedImage], timeout: Timeout
    ) -> Iterator[TaggedImage]:
        """Delete images with all of their tags, and yield those that are gone.

        Raises
        ------
        NubladoError
            Raised if one cannot be deleted; those before it are gone.
        """

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""

    @abstractmethod
    def _digests(self, timeout: Timeout) -> Mapping[str, str]:
        """Digest of each tag."""


class _DockerRepository(ImageRepository):
    """A repository of a Docker registry, where each image costs a request."""

    def __init__(self, source: DockerSourceConfig, mirrors: Mapping[str, str]) -> None:
        super().__init__(source.registry, source.repository)
        self._client = DockerRegistryClient(source, mirrors)

    def tags(self, timeout: Timeout) -> list[str]:
        """List all tags."""
        return self._client.tags(timeout)

    def _digests(self, timeout: Timeout) -> Mapping[str, str]:
        tags = self._client.tags(timeout)
        found = self._client.digests(tags, timeout)
        if unknown := [tag for tag in tags if tag not in found]:
            named = ", ".join(unknown[:_MOST_NAMED])
            more = ", …" if len(unknown) > _MOST_NAMED else ""
            raise NubladoError(
                f"The registry does not tell what {len(unknown)} of {len(tags)} tags"
                f" point to: {named}{more}"
            )
        # Those without a digest are gone since they were listed.
        return {tag: digest for tag, digest in found.items() if digest}

    def delete(
        self, images: Collection[TaggedImage], timeout: Timeout
    ) -> Iterator[TaggedImage]:
        """Delete images, one after the other."""
        for image in images:
            self._client.delete(image.digest, timeout)
            yield image

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


class _GoogleRepository(ImageRepository):
    """A repository in Google Artifact Registry, which deletes many at a time."""

    def __init__(self, source: GoogleSourceConfig, mirrors: Mapping[str, str]) -> None:
        endpoint = mirrors.get(f"{source.location}-docker.pkg.dev")
        self._client = GoogleRegistryClient(source, endpoint)
        super().__init__(self._client.registry, self._client.repository)

    def tags(self, timeout: Timeout) -> list[str]:
        """List all tags."""
        return list(self._digests(timeout))

    def _digests(self, timeout: Timeout) -> Mapping[str, str]:
        return {
            tag: image.digest
            for image in self._client.images(timeout)
            for tag in image.tags
        }

    def delete(
        self, images: Collection[TaggedImage], timeout: Timeout
    ) -> Iterator[TaggedImage]:
        """Delete images, 50 at a time."""
        remaining = list(images)
        while remaining:
            batch, remaining = remaining[:_BATCH], remaining[_BATCH:]
            self._client.delete(
                [GoogleImage(image.tags, image.digest, None) for image in batch],
                timeout,
            )
            yield from batch

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


def make_image_repository(
    source: DockerSourceConfig | GoogleSourceConfig, mirrors: Mapping[str, str]
) -> ImageRepository:
    """Make the repository of a source.

    Parameters
    ----------
    source
        Where it is.
    mirrors
        URLs to use in place of registries, by the registry's host.

    Raises
    ------
    ConfigurationError
        Raised if what the source needs is not installed.
    """
    if isinstance(source, DockerSourceConfig):
        return _DockerRepository(source, mirrors)
    return _GoogleRepository(source, mirrors)
