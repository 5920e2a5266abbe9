"""Filters of images by what their tags say: how many, how old, which version.

They decide which images the dropdown offers, and which ones a pruning keeps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from semver import Version

from nublado.models.domain.rsptag import RSPImageTag, RSPImageType

__all__ = ["ImageFilter", "ImageFilters", "Named"]

_RELEASED = (RSPImageType.RELEASE, RSPImageType.CANDIDATE)
"""Kinds with a version that means what semantic versions mean."""

_CANDIDATE = re.compile(r"rc([0-9]+)")


class Named(Protocol):
    """Something that a filter can be applied to."""

    @property
    def name(self) -> RSPImageTag:
        """Its tag, parsed."""

    @property
    def image_type(self) -> RSPImageType:
        """Kind of image, which is alias for another name of some image."""


_T = TypeVar("_T", bound=Named)


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """What images of one kind have to be like; None means that it does not matter.

    An image without the property that a condition is about meets it.

    Parameters
    ----------
    number
        How many are kept at most, the newest of those that meet the rest. The
        same tag for several architectures counts once.
    age
        Largest age by the nominal date, in seconds.
    cutoff_date
        Earliest nominal date, with a time zone.
    cutoff_version
        Lowest version of releases, release candidates, and what is based on
        them. Candidates are compared by number: rc10 is newer than rc2.
    cutoff_build
        Lowest number of the build of the platform.
    """

    number: int | None = None
    age: float | None = None
    cutoff_date: datetime | None = None
    cutoff_version: Version | None = None
    cutoff_build: int | None = None

    def select(self, images: Iterable[_T], now: datetime) -> list[_T]:
        """Choose the images that are kept.

        Parameters
        ----------
        images
            Images of one kind, the newest first.
        now
            The current time, with a time zone.
        """
        kept: list[_T] = []
        names: set[str] = set()
        for image in images:
            if not self._passes(image.name, now):
                continue
            name = image.name.tag.removesuffix(f"-{image.name.architecture}")
            if self.number is None or name in names or len(names) < self.number:
                names.add(name)
                kept.append(image)
        return kept

    def _passes(self, tag: RSPImageTag, now: datetime) -> bool:
        return (
            self._is_recent(tag, now)
            and self._is_built_late_enough(tag)
            and self._is_high_enough(tag)
        )

    def _is_recent(self, tag: RSPImageTag, now: datetime) -> bool:
        date = tag.nominal_date
        if date is None:
            return True
        if self.age is not None and (now - date) > timedelta(seconds=self.age):
            return False
        return self.cutoff_date is None or date >= self.cutoff_date

    def _is_built_late_enough(self, tag: RSPImageTag) -> bool:
        if self.cutoff_build is None or tag.rsp_build is None:
            return True
        return tag.rsp_build >= self.cutoff_build

    def _is_high_enough(self, tag: RSPImageTag) -> bool:
        named = tag.basis or tag
        if self.cutoff_version is None or named.version is None:
            return True
        if named.image_type not in _RELEASED:
            return True
        return _by_number(named.version) >= _by_number(self.cutoff_version)


def _by_number(version: Version) -> Version:
    """Spell a version so that release candidates compare by number."""
    prerelease = _CANDIDATE.sub(r"rc.\1", version.prerelease or "")
    return version.replace(prerelease=prerelease or None, build=None)


@dataclass(frozen=True, slots=True)
class ImageFilters:
    """A filter for each kind of image; aliases and unknown tags have none."""

    release: ImageFilter = ImageFilter()
    weekly: ImageFilter = ImageFilter()
    daily: ImageFilter = ImageFilter()
    release_candidate: ImageFilter = ImageFilter()
    experimental: ImageFilter = ImageFilter()

    def of(self, image_type: RSPImageType) -> ImageFilter:
        """Filter of a kind; one that keeps everything where there is none."""
        return {
            RSPImageType.RELEASE: self.release,
            RSPImageType.WEEKLY: self.weekly,
            RSPImageType.DAILY: self.daily,
            RSPImageType.CANDIDATE: self.release_candidate,
            RSPImageType.EXPERIMENTAL: self.experimental,
        }.get(image_type, ImageFilter())

    def select(self, images: Iterable[_T], now: datetime) -> list[_T]:
        """Choose the images that are kept, in the order of the menu.

        Parameters
        ----------
        images
            Images in the order of the menu.
        now
            The current time, with a time zone.
        """
        by_type: dict[RSPImageType, list[_T]] = {kind: [] for kind in RSPImageType}
        for image in images:
            by_type[image.image_type].append(image)
        return [
            image
            for kind, of_kind in by_type.items()
            for image in self.of(kind).select(of_kind, now)
        ]
