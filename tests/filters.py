"""Filters of images by kind."""

from __future__ import annotations

from collections.abc import Mapping

from nublado.models.domain.image_filter import ImageFilter, ImageFilters
from nublado.models.domain.rsptag import RSPImageType

_NAMES = {
    RSPImageType.RELEASE: "release",
    RSPImageType.WEEKLY: "weekly",
    RSPImageType.DAILY: "daily",
    RSPImageType.CANDIDATE: "release_candidate",
    RSPImageType.EXPERIMENTAL: "experimental",
}


def filters_of(by_type: Mapping[RSPImageType, ImageFilter]) -> ImageFilters:
    """Make filters of the kinds that have one."""
    return ImageFilters(**{_NAMES[kind]: f for kind, f in by_type.items()})
