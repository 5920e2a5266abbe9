"""Which images the menu keeps, kind by kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from semver import Version

from nublado.models.domain.rsptag import RSPImageType

__all__ = ["ImageFilter", "ImageFilters"]


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """What images of one kind must satisfy; None where nothing is asked for.

    All conditions must hold. An image without the property that a condition is
    about satisfies it.

    Parameters
    ----------
    number
        Only so many of the newest that satisfy the rest.
    age
        Nominal date within this time (seconds).
    cutoff_date
        Nominal date not before this (UTC).
    cutoff_version
        At least this version.
    cutoff_build
        At least this number of the RSP build.
    """

    number: int | None = None
    age: float | None = None
    cutoff_date: datetime | None = None
    cutoff_version: Version | None = None
    cutoff_build: int | None = None


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
