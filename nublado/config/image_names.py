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

__all__ = ["image_tag", "pinned_tag", "project", "registry", "repository"]

_MAX_REPOSITORY = 255

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_LABEL = r"[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?"
_REGISTRY = re.compile(
    rf"({_LABEL}(\.{_LABEL})*|\[[0-9a-fA-F:]+\])(:[0-9]{{1,5}})?", re.ASCII
)
_COMPONENT = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*", re.ASCII)
_PROJECT = re.compile(r"[a-z0-9]([-a-z0-9.:]*[a-z0-9])?", re.ASCII)


def registry(text: str) -> str:
    """Host of a registry, with its port if it has one."""
    if not _REGISTRY.fullmatch(text):
        hint = " without https://" if "://" in text else ""
        raise ValueError(
            f"must be a host name such as docker.io{hint}, not {quoted(text)}"
        )
    return text


def repository(text: str) -> str:
    """Name of a repository, behind the host of its registry if wanted."""
    host, slash, rest = text.partition("/")
    named = bool(slash) and ("." in host or ":" in host or host == "localhost")
    path = rest if named and _REGISTRY.fullmatch(host) else text
    if len(text) > _MAX_REPOSITORY or not all(
        _COMPONENT.fullmatch(component) for component in path.split("/")
    ):
        raise ValueError(
            "must be the name of an image repository without tag, such as"
            f" ghcr.io/lsst-sqre/worblehat, not {quoted(text)}"
        )
    return text


def image_tag(text: str) -> str:
    """Tag of an image."""
    if not _TAG.fullmatch(text):
        raise ValueError(
            "must be an image tag: at most 128 letters, digits, '_', '.' and '-',"
            f" with neither '.' nor '-' in front, not {quoted(text)}"
        )
    return text


def pinned_tag(text: str) -> str:
    """Tag of an image, with a digest behind it if wanted."""
    tag, at, digest = text.partition("@")
    image_tag(tag)
    if at and not _DIGEST.fullmatch(digest):
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
