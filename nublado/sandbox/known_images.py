"""Which images a sandbox knows, for patterns to match."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nublado.config.model import Config, DockerSourceConfig
from nublado.models.domain.kubernetes import JSON

if TYPE_CHECKING:
    from nublado.sandbox.cluster import Sandbox

__all__ = ["known_images", "registry_host"]


def known_images(sandbox: Sandbox) -> set[str]:
    """References of the images in the registry, in pods and in the configuration."""
    config = sandbox.options.config
    host = "" if config is None else f"{registry_host(config)}/"
    images = {
        f"{host}{repository}:{tag}@{digest}"
        for repository, tags in sandbox.registry.repositories.items()
        for tag, digest in tags.items()
    }
    for pod in sandbox.store.list("Pod"):
        images.update(_images_of(pod))
    if config is not None:
        images.update(_configured(config))
    return images


def registry_host(config: Config) -> str:
    """Host of the registry that a configuration has its images from."""
    source = config.images.source
    if isinstance(source, DockerSourceConfig):
        return source.registry
    return f"{source.location}-docker.pkg.dev"


def _images_of(pod: JSON) -> Iterator[str]:
    spec = pod["spec"]
    for container in [*spec.get("initContainers", ()), *spec["containers"]]:
        yield container["image"]


def _configured(config: Config) -> Iterator[str]:
    for container in config.lab.init_containers:
        yield f"{container.image.repository}:{container.image.tag}"
    if config.fileserver is not None:
        yield f"{config.fileserver.image.repository}:{config.fileserver.image.tag}"
