"""Rules for paths, in labs and on the platform.

Each rule accepts a text and returns the normalised path, or raises `ValueError`
with what was expected.
"""

from __future__ import annotations

import posixpath
import re

from nublado.config.kubernetes_names import RESERVED_VOLUME_NAMES, dns_label
from nublado.config.values import quoted
from nublado.constants import RESERVED_PATHS
from nublado.models.domain.urls import PLAIN_URL
from nublado.models.domain.volumes import file_volume_name

__all__ = [
    "absolute_path",
    "directory",
    "file_path",
    "home_suffix",
    "host_path",
    "local_path",
    "mount_path",
    "normalised",
    "page_url",
    "route_prefix",
    "server_path",
    "sub_path",
]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ROUTE = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+", re.ASCII)
_OWN_ROUTES = ("/healthz", "/metrics", "/readyz")
_RESERVED_FILES = ("/etc/group/", "/etc/passwd/")


def normalised(path: str) -> str:
    """Drop what does not change the meaning of an absolute path.

    Two leading slashes, which POSIX leaves to the system, mean one to a
    container runtime.
    """
    return "/" + posixpath.normpath(path).lstrip("/")


def absolute_path(text: str) -> str:
    """Path that begins with a slash."""
    if not text.startswith("/") or _CONTROL.search(text):
        raise ValueError(f"must be an absolute path, not {quoted(text)}")
    return normalised(text)


def local_path(text: str) -> str:
    """Path in the controller's own container."""
    if not text or _CONTROL.search(text):
        raise ValueError(f"must be a path, not {quoted(text)}")
    return text


def directory(text: str) -> str:
    """Directory in a container, other than its root.

    Colons are refused, since Kubernetes accepts none in mount paths and passwd
    none in home directories.
    """
    path = absolute_path(text)
    if path == "/" or ":" in path:
        raise ValueError(
            f"must be an absolute path other than / and without ':', not {quoted(text)}"
        )
    return path


def mount_path(text: str) -> str:
    """Path in a container over which something may be mounted."""
    path = directory(text)
    if path in RESERVED_PATHS:
        raise ValueError(f"{path} is reserved: every lab has its own")
    if path.startswith(_RESERVED_FILES):
        raise ValueError(f"must not be below the file {posixpath.dirname(path)}")
    return path


def file_path(text: str) -> str:
    """Path of a file whose contents are configured.

    Its last component gives the name of a volume, which must be valid.
    """
    path = mount_path(text)
    if text.endswith(("/", "/.", "/..")):
        raise ValueError(f"must be the path of a file, not {quoted(text)}")
    name = file_volume_name(path)
    try:
        dns_label(name)
    except ValueError as e:
        raise ValueError(
            f"gives the volume name {quoted(name)}, which Kubernetes refuses:"
            " use letters, digits, '-', '_' and '.', with a letter or digit at each end"
        ) from e
    if name in RESERVED_VOLUME_NAMES:
        raise ValueError(
            f"gives the volume name {quoted(name)}, which every lab has already"
        )
    return path


def sub_path(text: str) -> str:
    """Path inside a volume, relative to its top."""
    parts = text.split("/")
    if text.startswith("/") or ".." in parts or _CONTROL.search(text):
        raise ValueError(f'must be a relative path without "..", not {quoted(text)}')
    return posixpath.normpath(text)


def host_path(text: str) -> str:
    """Path on a node; Kubernetes refuses steps back."""
    path = absolute_path(text)
    if ".." in text.split("/"):
        raise ValueError(f'must be an absolute path without "..", not {quoted(text)}')
    return path


def server_path(text: str) -> str:
    """Path on a file server, left as it is written."""
    absolute_path(text)
    return text


def home_suffix(text: str) -> str:
    """Path below a home directory; slashes at its ends are dropped."""
    text = text.strip("/")
    if ":" in text or not set(text.split("/")).isdisjoint({".", ".."}):
        raise ValueError(
            f'must be a path without "." and ".." and without ":", not {quoted(text)}'
        )
    if _CONTROL.search(text):
        raise ValueError(f"must be a path, not {quoted(text)}")
    return re.sub("/+", "/", text)


def route_prefix(text: str) -> str:
    """Path of a URL under which routes are served."""
    path = re.sub("/+", "/", text).rstrip("/")
    if not _ROUTE.fullmatch(path):
        raise ValueError(
            "must be an absolute URL path other than /, of letters, digits, '-', '_',"
            f" '.' and '~', not {quoted(text)}"
        )
    if path in _OWN_ROUTES:
        raise ValueError(f"{path} is a route of the controller's own")
    return path


def page_url(text: str) -> str:
    """URL of a page whose parts are linked to by fragments."""
    if not PLAIN_URL.fullmatch(text) or "#" in text:
        # Never quotes the text: a URL that is refused may hold a password.
        raise ValueError(
            "must be a URL such as https://docs.example.org/runbook, with neither"
            " user nor password nor fragment"
        )
    return text
