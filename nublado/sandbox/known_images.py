"""Which images a sandbox knows, for patterns to match."""

from __future__ import annotations

from collections.abc import Iterator

from nublado.config.environment import Environment
from nublado.config.model import Config, DockerSourceConfig
from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.store import Store
from nublado.sandbox.registry import Registry

__all__ = ["known_images", "registry_host"]


def known_images(config: Config | None, registry: Registry, store: Store) -> set[str]:
    """References of the images in the registry, in pods and in the configuration."""
    host = "" if config is None else f"{registry_host(config)}/"
    images = {
        f"{host}{repository}:{tag}@{digest}"
        for repository, tags in registry.repositories.items()
        for tag, digest in tags.items()
    }
    for pod in store.list("Pod"):
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
        yield container.image.reference
    own = Environment().controller_image
    if config.lab.standard_containers:
        yield own.reference
    if config.fileserver is not None:
        yield (config.fileserver.image or own).reference
