"""Images: tags with their digests, and the nodes that have them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import Self

from nublado.models.domain.node import Node
from nublado.models.domain.rsptag import MenuOrder, RSPImageTag, RSPImageType
from nublado.models.domain.tag_collection import TagCollection

__all__ = ["RSPImage", "RSPImageCollection"]

_ALIAS_TYPES = (RSPImageType.ALIAS, RSPImageType.UNKNOWN)
"""Kinds of tags that are nothing but another name, if there is a versioned one."""


@dataclass(frozen=True, slots=True)
class RSPImage:
    """A tag of a repository, and the image that it points to.

    Parameters
    ----------
    registry, repository
        Where the image is.
    name
        The tag, parsed.
    digest
        Digest of the image; None if it has not been looked up.
    size
        Size in bytes, if it is known.
    nodes
        Names of the nodes that have the image.
    target
        Tag of the versioned image that this is another name of. It is found,
        like ``aliases``, by the collection that the image is added to.
    aliases
        All other tags of the same image.
    """

    registry: str
    repository: str
    name: RSPImageTag
    digest: str | None = None
    size: int | None = None
    nodes: frozenset[str] = frozenset()
    target: RSPImageTag | None = None
    aliases: frozenset[str] = frozenset()

    @property
    def tag(self) -> str:
        """The tag."""
        return self.name.tag

    @property
    def image_type(self) -> RSPImageType:
        """Kind of image."""
        return RSPImageType.ALIAS if self.target else self.name.image_type

    @property
    def order(self) -> MenuOrder:
        """Order within the kind, the newest last."""
        return self.name.order

    @property
    def architecture(self) -> str | None:
        """The only architecture that it is for."""
        return self.name.architecture

    @property
    def alias_target(self) -> str | None:
        """The tag that this is another name of."""
        return self.target.tag if self.target else None

    @property
    def cycle(self) -> int | None:
        """SAL cycle."""
        return self.target.cycle if self.target else self.name.cycle

    @property
    def display_name(self) -> str:
        """Name for people; that of an alias also names its target."""
        if not self.target:
            return self.name.display_name
        target = self.target.display_name.replace(" (", ", ").replace(")", "")
        return f"{self.name.alias_name} ({target})"

    @property
    def reference(self) -> str:
        """``registry/repository:tag``."""
        return f"{self.registry}/{self.repository}:{self.tag}"

    @property
    def reference_with_digest(self) -> str:
        """``registry/repository:tag@digest``, as far as the digest is known."""
        return f"{self.reference}@{self.digest}" if self.digest else self.reference


class RSPImageCollection(TagCollection[RSPImage]):
    """Images in the order of the menu, with their aliases.

    Aliases that the images had in other collections are forgotten. Only the
    subsets of a collection keep them, even without the target of an alias.

    Parameters
    ----------
    images
        What is in it. Of several with the same tag the last one counts. Of
        several versioned ones with the same digest the first one is the main
        image, which alias tags point to. Beyond that their order is
        irrelevant.
    """

    def __init__(self, images: Iterable[RSPImage]) -> None:
        by_tag: dict[str, RSPImage] = {}
        for image in images:
            # Replacing it makes it the one that was added last.
            by_tag.pop(image.tag, None)
            by_tag[image.tag] = image
        by_digest: dict[str, list[RSPImage]] = {}
        for image in by_tag.values():
            if image.digest:
                by_digest.setdefault(image.digest, []).append(image)
        main: dict[str, RSPImageTag] = {}
        for digest, same in by_digest.items():
            versioned = (i.name for i in same if i.name.image_type.versioned)
            if target := next(versioned, None):
                main[digest] = target
            by_tag.update((i.tag, i) for i in _connect(same, target))
        self._fill(by_tag.values(), main)

    def _fill(
        self, images: Iterable[RSPImage], main: Mapping[str, RSPImageTag]
    ) -> None:
        """Take images as they are; ``main`` are the main ones by digest."""
        super().__init__(images)
        self._main = main
        self._by_digest: dict[str, list[RSPImage]] = {}
        for image in self:
            if image.digest:
                self._by_digest.setdefault(image.digest, []).append(image)

    def _select(self, items: Iterable[RSPImage]) -> Self:
        selected = object.__new__(type(self))
        selected._fill(items, self._main)
        return selected

    def all(self, *, hide_targets: bool = False) -> list[RSPImage]:
        """List the images in the order of the menu.

        Parameters
        ----------
        hide_targets
            Leave out versioned images that an alias in the collection names.
        """
        if not hide_targets:
            return list(self)
        hidden = {image.alias_target for image in self}
        return [image for image in self if image.tag not in hidden]

    def by_digest(self, digest: str) -> RSPImage | None:
        """Find the main image with a digest, or the best other one."""
        same = self._by_digest.get(digest)
        if not same:
            return None
        main = self._main.get(digest)
        return min(
            same, key=lambda i: (i.name != main, not i.name.image_type.versioned)
        )

    @property
    def digests(self) -> Collection[str]:
        """All digests that are known."""
        return self._by_digest.keys()

    def one_per_digest(self) -> list[RSPImage]:
        """List the images by digest, without names for the same one."""
        main = {digest: self.by_digest(digest) for digest in self._by_digest}
        return [i for i in self if i.digest is not None and main[i.digest] is i]

    def with_nodes(self, nodes: Iterable[Node]) -> Self:
        """Create a copy in which the images are on the nodes that have them."""
        names: dict[str, set[str]] = {}
        sizes: dict[str, int] = {}
        for node in nodes:
            for digest in node.sizes.keys() & self._by_digest.keys():
                names.setdefault(digest, set()).add(node.name)
                sizes[digest] = max(sizes.get(digest, 0), node.sizes[digest] or 0)
        return self._located(
            replace(
                image,
                nodes=frozenset(names.get(digest, ())),
                size=sizes.get(digest) or image.size,
            )
            for digest, same in self._by_digest.items()
            for image in same
        )

    def mark_seen(self, digest: str, node: str, size: int | None = None) -> Self:
        """Create a copy in which an image, and all its aliases, are on a node.

        Parameters
        ----------
        digest
            Digest of the image; it need not be in the collection.
        node
            Name of the node.
        size
            Size in bytes, if it is known.
        """
        return self._located(
            replace(image, nodes=image.nodes | {node}, size=size or image.size)
            for image in self._by_digest.get(digest, ())
        )

    def _located(self, images: Iterable[RSPImage]) -> Self:
        """Create a copy with images that only differ in where they are."""
        located = copy(self)
        located._exchange({image.tag: image for image in images})
        located._by_digest = {
            digest: [located._by_tag[image.tag] for image in same]
            for digest, same in self._by_digest.items()
        }
        return located


def _connect(same: list[RSPImage], target: RSPImageTag | None) -> Iterator[RSPImage]:
    """Make images of one digest aliases of each other.

    Without a versioned one among them they stay unresolved.
    """
    tags = frozenset(image.tag for image in same) if target else frozenset()
    nodes = frozenset[str]().union(*(image.nodes for image in same))
    size = max((image.size or 0 for image in same), default=0) or None
    for image in same:
        is_alias = image.name.image_type in _ALIAS_TYPES
        yield replace(
            image,
            size=size,
            nodes=nodes,
            target=target if is_alias else None,
            aliases=tags - {image.tag},
        )
