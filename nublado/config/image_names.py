"""Rules for the names of container images and their registries.

Each rule accepts a text and returns it, or raises `ValueError` with what was
expected.

References
----------
The `grammar of references <https://pkg.go.dev/github.com/distribution/reference>`__.
"""

from __future__ import annotations

import re

from nublado.config.values import quoted
from nublado.models.domain.docker import (
    REGISTRY_PATTERN,
    REPOSITORY_PATTERN,
    TAG_PATTERN,
)

__all__ = ["image_tag", "pinned_tag", "project", "registry", "repository"]

_MAX_REPOSITORY = 255

_PINNED_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_PROJECT = re.compile(r"[a-z0-9]([-a-z0-9.:]*[a-z0-9])?", re.ASCII)


def registry(text: str) -> str:
    """Host of a registry, with its port if it has one."""
    if not REGISTRY_PATTERN.fullmatch(text):
        hint = " without https://" if "://" in text else ""
        raise ValueError(
            f"must be a host name such as docker.io{hint}, not {quoted(text)}"
        )
    return text


def repository(text: str) -> str:
    """Name of a repository, behind the host of its registry if wanted."""
    host, slash, rest = text.partition("/")
    named = bool(slash) and ("." in host or ":" in host or host == "localhost")
    path = rest if named and REGISTRY_PATTERN.fullmatch(host) else text
    if len(text) > _MAX_REPOSITORY or not REPOSITORY_PATTERN.fullmatch(path):
        raise ValueError(
            "must be the name of an image repository without tag, such as"
            f" ghcr.io/lsst-sqre/worblehat, not {quoted(text)}"
        )
    return text


def image_tag(text: str) -> str:
    """Tag of an image."""
    if not TAG_PATTERN.fullmatch(text):
        raise ValueError(
            "must be an image tag: at most 128 letters, digits, '_', '.' and '-',"
            f" with neither '.' nor '-' in front, not {quoted(text)}"
        )
    return text


def pinned_tag(text: str) -> str:
    """Tag of an image, with a digest behind it if wanted."""
    tag, at, digest = text.partition("@")
    image_tag(tag)
    if at and not _PINNED_DIGEST.fullmatch(digest):
        raise ValueError(
            f"must have a digest such as sha256:… behind the @, not {quoted(digest)}"
        )
    return text


def project(text: str) -> str:
    """Name of a Google project or location."""
    if not _PROJECT.fullmatch(text):
        raise ValueError(
            f"must be lower-case letters, digits and hyphens, not {quoted(text)}"
        )
    return text
