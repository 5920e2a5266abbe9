"""Names of what is mounted from the contents of configured files."""

from __future__ import annotations

from pathlib import PurePosixPath

__all__ = ["MAX_NAME_LENGTH", "file_name_of", "file_volume_name"]

MAX_NAME_LENGTH = 63
"""Longest name of a volume (a DNS label) that Kubernetes accepts."""


def file_name_of(path: str) -> str:
    """Last component of the path at which a file is mounted."""
    return PurePosixPath(path).name


def file_volume_name(path: str) -> str:
    """Name of the volume of a file, and its key in the config map.

    Two paths may give the same name, and some paths give one that Kubernetes
    refuses (``.bashrc`` gives ``-bashrc``): loading the configuration checks
    for both.

    Parameters
    ----------
    path
        Where the file is mounted.
    """
    name = file_name_of(path).replace("_", "-").replace(".", "-")
    return name.lower()[:MAX_NAME_LENGTH]
