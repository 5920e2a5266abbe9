"""Images of labs: as selected, and as resolved."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nublado.models.domain.node import Node
from nublado.models.domain.rspimage import RSPImage

__all__ = [
    "ImageClass",
    "ImageSelection",
    "KnownImages",
    "NodeImages",
    "PrepullImage",
    "PrepullStatus",
    "ResolvedImage",
]


class ImageClass(StrEnum):
    """Images that can be selected by their role."""

    RECOMMENDED = "recommended"
    LATEST_RELEASE = "latest-release"
    LATEST_WEEKLY = "latest-weekly"
    LATEST_DAILY = "latest-daily"


@dataclass(frozen=True, slots=True)
class ImageSelection:
    """How a user has selected an image: exactly one of these is set."""

    image_list: str | None = None
    image_dropdown: str | None = None
    image_class: str | None = None
    image_tag: str | None = None

    @property
    def option(self) -> str:
        """Name of the one that is set, for error messages."""
        return next(name for name in self.__slots__ if getattr(self, name) is not None)


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """An image as it will be run.

    Parameters
    ----------
    reference
        ``registry/repository:tag``.
    digest
        Digest of the manifest, such as ``sha256:…``.
    tag
        The tag.
    display_name
        Name for people.
    """

    reference: str
    digest: str
    tag: str
    display_name: str

    @property
    def reference_with_digest(self) -> str:
        """Reference that always means the same image."""
        return f"{self.reference}@{self.digest}"


@dataclass(frozen=True, slots=True)
class KnownImages:
    """All images, and the notable ones among them.

    Parameters
    ----------
    recommended, latest_weekly, latest_daily, latest_release
        What ``image_class`` picks; None if there is no such image.
    all
        All images in the order of the menu.
    prepulled
        Tags of those that every eligible node has.
    """

    recommended: RSPImage | None
    latest_weekly: RSPImage | None
    latest_daily: RSPImage | None
    latest_release: RSPImage | None
    all: tuple[RSPImage, ...]
    prepulled: frozenset[str]


@dataclass(frozen=True, slots=True)
class PrepullImage:
    """An image to prepull; ``missing`` are eligible nodes that lack it."""

    image: RSPImage
    missing: frozenset[str]


@dataclass(frozen=True, slots=True)
class NodeImages:
    """A node, and the tagged references of our images that it has."""

    node: Node
    cached: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PrepullStatus:
    """What has been prepulled, what has not, and where."""

    prepulled: tuple[PrepullImage, ...]
    pending: tuple[PrepullImage, ...]
    nodes: tuple[NodeImages, ...]
