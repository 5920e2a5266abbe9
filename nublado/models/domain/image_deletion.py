"""Which images of a repository may be deleted, and which have to stay.

Deleting an image takes all of its tags away, so what counts is the digest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from nublado.models.domain.image_filter import ImageFilters
from nublado.models.domain.rspimage import RSPImage, RSPImageCollection
from nublado.models.domain.rsptag import RSPImageType

__all__ = ["DeletionPlan", "TaggedImage", "plan_deletion", "plan_pruning"]

_OTHER_NAMES = (RSPImageType.ALIAS, RSPImageType.UNKNOWN)
"""Kinds of tags that people and programs rely on under whatever it points to."""


@dataclass(frozen=True, slots=True)
class TaggedImage:
    """An image with all of its tags, in the order of the menu."""

    digest: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeletionPlan:
    """What is deleted.

    Parameters
    ----------
    doomed
        The images, in the order of the menu.
    spared
        Tags that were to go but have to stay, and why.
    """

    doomed: tuple[TaggedImage, ...]
    spared: dict[str, str]


def plan_pruning(
    images: RSPImageCollection,
    filters: ImageFilters,
    running: Collection[str],
    now: datetime,
) -> DeletionPlan:
    """Plan to delete the images that filters do not keep.

    Aliases and unknown tags are always kept.

    Parameters
    ----------
    images
        All images of the repository, each with its digest.
    filters
        Which of them are kept.
    running
        Digests of images that labs are running.
    now
        The current time, with a time zone.
    """
    kept = {image.tag for image in filters.select(images, now)}
    unwanted = [image.tag for image in images if image.tag not in kept]
    return _plan(images, unwanted, running, lambda other: other.tag in kept)


def plan_deletion(
    images: RSPImageCollection, tags: Collection[str], running: Collection[str]
) -> DeletionPlan:
    """Plan to delete the images behind tags, with all other tags that they have.

    An image that is also an alias or an unknown tag stays unless that is named
    as well.

    Parameters
    ----------
    images
        All images of the repository, each with its digest.
    tags
        Tags of the images; all of them exist.
    running
        Digests of images that labs are running.
    """
    return _plan(
        images,
        tags,
        running,
        lambda other: other.image_type in _OTHER_NAMES and other.tag not in tags,
    )


def _plan(
    images: RSPImageCollection,
    unwanted: Collection[str],
    running: Collection[str],
    is_kept: Callable[[RSPImage], bool],
) -> DeletionPlan:
    by_digest: dict[str, list[RSPImage]] = {}
    for image in images:
        by_digest.setdefault(str(image.digest), []).append(image)
    wanted_gone = {str(i.digest) for i in images if i.tag in unwanted}
    reasons = {
        digest: reason
        for digest in wanted_gone
        if (reason := _reason_to_stay(digest, by_digest[digest], running, is_kept))
    }
    doomed = wanted_gone - reasons.keys()
    while parts := {
        digest: reason
        for digest in doomed
        if (reason := _reason_of_parts(by_digest[digest], images, doomed))
    }:
        reasons |= parts
        doomed -= parts.keys()
    return DeletionPlan(
        doomed=tuple(
            TaggedImage(digest, tuple(image.tag for image in same))
            for digest, same in by_digest.items()
            if digest in doomed
        ),
        spared={
            image.tag: reasons[str(image.digest)]
            for image in images
            if image.tag in unwanted and str(image.digest) in reasons
        },
    )


def _reason_to_stay(
    digest: str,
    same: Iterable[RSPImage],
    running: Collection[str],
    is_kept: Callable[[RSPImage], bool],
) -> str | None:
    if digest in running:
        return "a lab is running it"
    kept = next((image.tag for image in same if is_kept(image)), None)
    return f"it is also {kept}" if kept else None


def _reason_of_parts(
    same: Iterable[RSPImage], images: RSPImageCollection, doomed: Collection[str]
) -> str | None:
    """Why an image for one architecture has to stay, if it does.

    An image for several is an index of those for one each.

    References
    ----------
    https://github.com/opencontainers/image-spec/blob/main/image-index.md
    """
    for image in same:
        whole = images.get(image.tag.removesuffix(f"-{image.architecture}"))
        if whole is not None and str(whole.digest) not in doomed:
            return f"it may be a part of {whole.tag}"
    return None
