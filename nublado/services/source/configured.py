"""The source of images that is configured."""

from __future__ import annotations

from collections.abc import Mapping

from nublado.config.model import DockerSourceConfig, ImagesConfig
from nublado.services.source.base import ImageSource
from nublado.services.source.docker import DockerImageSource
from nublado.services.source.google import GoogleImageSource

__all__ = ["make_image_source"]


def make_image_source(config: ImagesConfig, mirrors: Mapping[str, str]) -> ImageSource:
    """Make the configured source.

    Parameters
    ----------
    config
        Which images there are to be, and where they are.
    mirrors
        URLs to use in place of registries, by the registry's host.

    Raises
    ------
    ConfigurationError
        Raised if what the source needs is not installed.
    """
    source = config.source
    if isinstance(source, DockerSourceConfig):
        return DockerImageSource(config, source, mirrors)
    return GoogleImageSource(config, source, mirrors)
