"""The images that the spawner form offers, and what it says of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from nublado.exceptions import InvalidDockerReferenceError
from nublado.models.domain.docker import DockerReference
from nublado.models.domain.image import ImageClass
from nublado.models.domain.image_filter import ImageFilters
from nublado.models.domain.rspimage import RSPImage
from nublado.models.domain.rsptag import RSPImageTag, RSPImageType
from nublado.models.domain.text import Text
from nublado.services.image_inventory import ImageInventory

__all__ = ["FormImage", "ImageChoices", "ImageGroup", "choose_images"]

_GROUPS = {
    RSPImageType.ALIAS: Text("Recommended and other names"),
    RSPImageType.RELEASE: Text("Releases"),
    RSPImageType.WEEKLY: Text("Weekly builds"),
    RSPImageType.DAILY: Text("Daily builds"),
    RSPImageType.CANDIDATE: Text("Release candidates"),
    RSPImageType.EXPERIMENTAL: Text("Experimental builds"),
    RSPImageType.UNKNOWN: Text("Others"),
}
_MOST_DESCRIBED = 150
"""How many images the list describes; older ones can be had by their tags.

A form with thousands of references would be half a megabyte.
"""


@dataclass(frozen=True, slots=True)
class FormImage:
    """An image to choose.

    Parameters
    ----------
    reference
        Value of the choice.
    tag
        Its tag.
    name
        Name for people.
    is_fast
        Whether every node has it already.
    size
        In bytes; None if it is not known.
    built
        The day of its build; None if its name does not say.
    days
        How many days ago that was.
    is_about
        Whether the day is only about right, since its name says the week.
    is_recommended
        Whether operators recommend it.
    is_described
        Whether the list describes it.
    """

    reference: str
    tag: str
    name: str
    is_fast: bool
    size: int | None
    built: date | None
    days: int | None
    is_about: bool
    is_recommended: bool
    is_described: bool


@dataclass(frozen=True, slots=True)
class ImageGroup:
    """Images of one kind."""

    title: Text
    images: tuple[FormImage, ...]


@dataclass(frozen=True, slots=True)
class ImageChoices:
    """The images on offer.

    Parameters
    ----------
    menu
        The few that stand out: the recommended one, and what starts fast.
    groups
        All that the list describes, by kind; those of the menu are among them.
    older
        The rest, for which the list is too long.
    """

    menu: tuple[FormImage, ...]
    groups: tuple[ImageGroup, ...]
    older: tuple[FormImage, ...]

    @property
    def count(self) -> int:
        """How many images are on offer."""
        return self.described + len(self.older)

    @property
    def described(self) -> int:
        """How many images the list describes."""
        return sum(len(group.images) for group in self.groups)

    @property
    def place(self) -> str:
        """``registry/repository`` of those for which the list is too long."""
        return self.older[0].reference.partition("@")[0].rpartition(":")[0]

    @property
    def first(self) -> FormImage | None:
        """What is chosen by whoever chooses nothing."""
        return next(iter((*self.menu, *self._all())), None)

    def find(self, reference: str) -> FormImage | None:
        """Find what an earlier choice means today.

        The same tag counts, also if it points to another image by now; else the
        same image by another tag.

        Parameters
        ----------
        reference
            Reference that was chosen.
        """
        try:
            wanted = DockerReference.parse(reference)
        except InvalidDockerReferenceError:
            return None
        tagged = f"{wanted.registry}/{wanted.repository}:{wanted.tag}"
        by_digest = None
        for image in self._all():
            reference, _, digest = image.reference.partition("@")
            if reference == tagged:
                return image
            if digest and digest == wanted.digest:
                by_digest = by_digest or image
        return by_digest

    def name_of(self, reference: str) -> str | None:
        """Name of this very image, if it is on offer; None if it is not.

        A tag that points to another image by now is no name of it.
        """
        tagged, _, digest = reference.partition("@")
        by_digest = None
        for image in self._all():
            shown, _, shown_digest = image.reference.partition("@")
            if shown == tagged and shown_digest in ("", digest):
                return image.name
            if digest and shown_digest == digest:
                by_digest = by_digest or image.name
        return by_digest

    def _all(self) -> Iterator[FormImage]:
        for group in self.groups:
            yield from group.images
        yield from self.older


def choose_images(
    inventory: ImageInventory, filters: ImageFilters, now: datetime
) -> ImageChoices:
    """Choose the images that a form offers.

    Parameters
    ----------
    inventory
        What is known of images.
    filters
        Which of them the list offers; those of the menu it offers always.
    now
        The current time.
    """
    menu = inventory.menu()
    kept = {image.tag for image in filters.select(inventory.dropdown(), now)}
    kept |= {image.tag for image in menu}
    offered = [image for image in inventory.images if image.tag in kept]
    described = _described(offered, menu)
    recommended = inventory.of_class(ImageClass.RECOMMENDED)

    def show(image: RSPImage) -> FormImage:
        named = image.target or image.name
        built, days = _age(named, now)
        return FormImage(
            reference=image.reference_with_digest,
            tag=image.tag,
            name=image.display_name,
            is_fast=inventory.is_everywhere(image),
            size=image.size,
            built=built,
            days=days,
            is_about=(named.basis or named).image_type is RSPImageType.WEEKLY,
            is_recommended=recommended is not None and image.tag == recommended.tag,
            is_described=image.tag in described,
        )

    listed = [image for image in offered if image.tag in described]
    return ImageChoices(
        menu=tuple(map(show, menu)),
        groups=tuple(
            ImageGroup(_GROUPS[kind], tuple(map(show, images)))
            for kind, images in groupby(listed, lambda i: i.image_type)
        ),
        older=tuple(show(image) for image in offered if image.tag not in described),
    )


def _described(offered: Sequence[RSPImage], menu: Iterable[RSPImage]) -> set[str]:
    """Tags of those that the list describes: of each kind as many of the newest."""
    if len(offered) <= _MOST_DESCRIBED:
        return {image.tag for image in offered}
    tags = [image.tag for image in menu]
    ranked = [
        (rank, image.tag)
        for _, images in groupby(offered, lambda i: i.image_type)
        for rank, image in enumerate(images)
    ]
    tags += [tag for _, tag in sorted(ranked, key=lambda entry: entry[0])]
    return set(list(dict.fromkeys(tags))[:_MOST_DESCRIBED])


def _age(tag: RSPImageTag, now: datetime) -> tuple[date | None, int | None]:
    """The day that a tag stands for, and how many days ago that was."""
    nominal = tag.nominal_date
    if nominal is None or nominal > now:
        return None, None
    return nominal.date(), (now.date() - nominal.date()).days
