"""Tags, or what has one, in the order of the menu."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Generic, Protocol, Self, TypeVar

from nublado.models.domain.rsptag import MenuOrder, RSPImageTag, RSPImageType

__all__ = ["RSPImageTagCollection", "TagCollection", "Tagged"]


class Tagged(Protocol):
    """Something that has a tag, and a place in the menu."""

    @property
    def tag(self) -> str:
        """The tag."""

    @property
    def image_type(self) -> RSPImageType:
        """Kind of image."""

    @property
    def architecture(self) -> str | None:
        """The only architecture that it is for."""

    @property
    def order(self) -> MenuOrder:
        """Order within the kind, the newest last."""


_T = TypeVar("_T", bound=Tagged)


class TagCollection(Generic[_T]):
    """Things by tag, in the order of the menu: by kind, then newest first.

    Those for one architecture only are never the newest of their kind.

    Immutable: operations return new collections.

    Parameters
    ----------
    items
        What is in it. Of several with the same tag the last one counts.
    """

    def __init__(self, items: Iterable[_T]) -> None:
        by_tag = {item.tag: item for item in items}
        self._by_type: dict[RSPImageType, list[_T]] = {
            kind: [] for kind in RSPImageType
        }
        for item in by_tag.values():
            self._by_type[item.image_type].append(item)
        for of_kind in self._by_type.values():
            of_kind.sort(key=lambda item: item.order, reverse=True)
        self._by_tag = {
            item.tag: item for of_kind in self._by_type.values() for item in of_kind
        }

    def __iter__(self) -> Iterator[_T]:
        return iter(self._by_tag.values())

    def __len__(self) -> int:
        return len(self._by_tag)

    def __contains__(self, tag: object) -> bool:
        return tag in self._by_tag

    def get(self, tag: str) -> _T | None:
        """Find what has this tag."""
        return self._by_tag.get(tag)

    def latest(self, image_type: RSPImageType) -> _T | None:
        """Find the newest of a kind."""
        return next(self._newest(image_type), None)

    def subset(
        self,
        *,
        releases: int = 0,
        weeklies: int = 0,
        dailies: int = 0,
        include: Collection[str] = (),
    ) -> Self:
        """Choose the newest of some kinds, and some by name.

        Parameters
        ----------
        releases, weeklies, dailies
            How many of each.
        include
            Tags that are chosen, if they exist, whatever they are.
        """
        counts = {
            RSPImageType.RELEASE: releases,
            RSPImageType.WEEKLY: weeklies,
            RSPImageType.DAILY: dailies,
        }
        chosen = [
            item
            for kind, count in counts.items()
            for item in islice(self._newest(kind), max(count, 0))
        ]
        named = (self._by_tag.get(tag) for tag in include)
        return self._select([*chosen, *(item for item in named if item is not None)])

    def _newest(self, image_type: RSPImageType) -> Iterator[_T]:
        return (i for i in self._by_type[image_type] if i.architecture is None)

    def _select(self, items: Iterable[_T]) -> Self:
        """Create a collection of some of the items, as they are."""
        return type(self)(items)

    def _exchange(self, items: Mapping[str, _T]) -> None:
        """Put others in place of items that have the same tag, kind and order."""
        self._by_tag = {**self._by_tag, **items}
        kinds = {item.image_type for item in items.values()}
        for kind in kinds:
            of_kind = self._by_type[kind]
            exchanged = [self._by_tag[item.tag] for item in of_kind]
            self._by_type = {**self._by_type, kind: exchanged}


class RSPImageTagCollection(TagCollection[RSPImageTag]):
    """Tags in the order of the menu."""

    def __init__(self, items: Iterable[RSPImageTag]) -> None:
        super().__init__(items)
        self._parsed: Mapping[str, RSPImageTag] = self._by_tag

    @classmethod
    def from_names(
        cls,
        names: Iterable[str],
        *,
        aliases: Collection[str] = (),
        known: Self | None = None,
    ) -> Self:
        """Parse tags.

        Parameters
        ----------
        names
            The tags. Those of one architecture are left out where there is
            one without it.
        aliases
            Which of them are aliases, whatever their names say.
        known
            Tags that were parsed before with the same aliases, to save time.
        """
        wanted = set(names)
        if known is not None and wanted == known._parsed.keys():
            return known
        parsed = {
            name: (known._parsed.get(name) if known else None)
            or (RSPImageTag.alias(name) if name in aliases else RSPImageTag.parse(name))
            for name in wanted
        }
        made = cls(tag for tag in parsed.values() if not _is_variant(tag, wanted))
        made._parsed = parsed
        return made

    def of_cycle(self, cycle: int, *, keep: Collection[str] = ()) -> Self:
        """Choose the tags of a cycle.

        Parameters
        ----------
        cycle
            The cycle.
        keep
            Tags that are also chosen if their names have no cycle.
        """
        return self._select(
            tag
            for tag in self
            if tag.cycle == cycle or (tag.cycle is None and tag.tag in keep)
        )


def _is_variant(tag: RSPImageTag, names: Collection[str]) -> bool:
    """Whether a tag is that of another one for one architecture."""
    plain = tag.tag.removesuffix(f"-{tag.architecture}")
    return tag.architecture is not None and plain in names
