"""Images of a Docker registry."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from nublado.config.model import DockerSourceConfig, ImagesConfig
from nublado.models.domain.source_report import SourceReport
from nublado.services.source.base import ImageSource, Manifest
from nublado.storage.docker import DockerRegistryClient
from nublado.timeout import Timeout

__all__ = ["DockerImageSource"]


class DockerImageSource(ImageSource):
    """A repository of a Docker registry.

    The registry lists tags alone. Digests cost a request each, so they are
    only looked up where they matter.

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
        source: DockerSourceConfig,
        mirrors: Mapping[str, str],
    ) -> None:
        super().__init__(config, source.registry, source.repository)
        self._client = DockerRegistryClient(source, mirrors)
        self.traffic = self._client.traffic

    def _list(self, timeout: Timeout) -> Mapping[str, Manifest | None]:
        return dict.fromkeys(self._client.tags(timeout))

    def _digests(
        self, tags: Collection[str], timeout: Timeout
    ) -> Mapping[str, str | None]:
        return self._client.digests(tags, timeout)

    def digest(self, reference: str, timeout: Timeout) -> str | None:
        """Look up a digest."""
        return self._client.digest(reference, timeout)

    def _report(self) -> SourceReport:
        return self._client.report

    def close(self) -> None:
        """Close all connections."""
        self._client.close()
