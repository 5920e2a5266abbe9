"""Images of a Google Artifact Registry."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from nublado.config.model import GoogleSourceConfig, ImagesConfig
from nublado.models.domain.source_report import SourceReport
from nublado.services.source.base import ImageSource, Manifest
from nublado.storage.google_registry import GoogleRegistryClient
from nublado.timeout import Timeout

__all__ = ["GoogleImageSource"]


class GoogleImageSource(ImageSource):
    """An image of a repository in Google Artifact Registry.

    The registry lists tags with their digests and sizes, so nothing has to be
    looked up one by one.

    Parameters
    ----------
    config
        Which images there are to be.
    source
        Where they are.
    mirrors
        URLs to use in place of registries, by the registry's host.
    """

    def __init__(
        self,
        config: ImagesConfig,
        source: GoogleSourceConfig,
        mirrors: Mapping[str, str],
    ) -> None:
        endpoint = mirrors.get(f"{source.location}-docker.pkg.dev")
        self._client = GoogleRegistryClient(source, endpoint)
        super().__init__(config, self._client.registry, self._client.repository)
        self.traffic = self._client.traffic

    def _list(self, timeout: Timeout) -> Mapping[str, Manifest | None]:
        return {
            tag: Manifest(image.digest, image.size)
            for image in self._client.images(timeout)
            for tag in image.tags
        }

    def _digests(
        self, tags: Collection[str], timeout: Timeout
    ) -> Mapping[str, str | None]:
        return {tag: self._client.digest(tag, timeout) for tag in tags}

    def digest(self, reference: str, timeout: Timeout) -> str | None:
        """Look up a digest."""
        return self._client.digest(reference, timeout)

    def _report(self) -> SourceReport:
        return self._client.report

    def close(self) -> None:
        """Close all connections."""
        self._client.close()
