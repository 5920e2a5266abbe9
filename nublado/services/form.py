"""What the spawner form offers to a user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from nublado.config.model import LabConfig
from nublado.exceptions import InsufficientQuotaError
from nublado.models.domain.gafaelfawr import UserInfo
from nublado.models.domain.image_filter import ImageFilters
from nublado.models.domain.rspimage import RSPImage
from nublado.models.domain.rsptag import RSPImageType
from nublado.services.builder.lab import LabBuilder
from nublado.services.image import ImageService
from nublado.services.image_inventory import ImageInventory

__all__ = ["FormImage", "FormService", "ImageChoices", "SizeChoice", "SpawnerForm"]

_GROUPS = {
    RSPImageType.ALIAS: "Recommended and other names",
    RSPImageType.RELEASE: "Releases",
    RSPImageType.WEEKLY: "Weekly builds",
    RSPImageType.DAILY: "Daily builds",
    RSPImageType.CANDIDATE: "Release candidates",
    RSPImageType.EXPERIMENTAL: "Experimental builds",
    RSPImageType.UNKNOWN: "Others",
}

_NO_LABS = "Your account may not run labs. Ask the operators of this platform."
_NO_SIZE = (
    "Your quota is too small for every size of lab that there is here. Ask the"
    " operators of this platform for more."
)


@dataclass(frozen=True, slots=True)
class FormImage:
    """An image to choose.

    Parameters
    ----------
    reference
        Value of the choice.
    name
        Name for people.
    is_fast
        Whether every node has it already.
    size
        Such as ``3.5 GB``; None if it is not known.
    """

    reference: str
    name: str
    is_fast: bool
    size: str | None


@dataclass(frozen=True, slots=True)
class ImageChoices:
    """The images: few for the menu, and by kind those that the dropdown offers."""

    menu: tuple[FormImage, ...]
    groups: tuple[tuple[str, tuple[FormImage, ...]], ...]

    @property
    def count(self) -> int:
        """How many images the dropdown has."""
        return sum(len(images) for _, images in self.groups)


@dataclass(frozen=True, slots=True)
class SizeChoice:
    """A size to choose."""

    size: str
    label: str
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class SpawnerForm:
    """All that a user may choose; ``refusal`` says why nothing."""

    images: ImageChoices
    sizes: tuple[SizeChoice, ...]
    refusal: str | None = None


class FormService:
    """Makes forms.

    Parameters
    ----------
    config
        Configuration of labs.
    builder
        Knows which sizes a quota allows.
    images
        Knows the images.
    filters
        Which of them the dropdown offers.
    """

    def __init__(
        self,
        config: LabConfig,
        builder: LabBuilder,
        images: ImageService,
        filters: ImageFilters,
    ) -> None:
        self._config = config
        self._filters = filters
        self._builder = builder
        self._images = images
        self._choices: tuple[ImageInventory, ImageChoices] | None = None

    def form(self, user: UserInfo) -> SpawnerForm:
        """Make the form of a user."""
        sizes = self._sizes(user)
        quota = user.notebook_quota
        refusal = None
        if quota is not None and not quota.spawn:
            refusal = _NO_LABS
        elif not sizes:
            refusal = _NO_SIZE
        return SpawnerForm(self._image_choices(), sizes, refusal)

    def _sizes(self, user: UserInfo) -> tuple[SizeChoice, ...]:
        """The sizes that a user may have; the default is one of them."""
        allowed = [
            definition
            for definition in self._config.sizes
            if self._is_allowed(user, definition.size)
        ]
        names = [definition.size for definition in allowed]
        wanted = self._config.default_size
        default = wanted if wanted in names else next(iter(names), None)
        return tuple(
            SizeChoice(definition.size, definition.label, definition.size == default)
            for definition in allowed
        )

    def _is_allowed(self, user: UserInfo, size: str) -> bool:
        try:
            self._builder.check_quota(user, size)
        except InsufficientQuotaError:
            return False
        return True

    def _image_choices(self) -> ImageChoices:
        """Make the choices of images, once for each inventory."""
        inventory = self._images.inventory
        cached = self._choices
        if cached is None or cached[0] is not inventory:
            cached = self._choices = (inventory, self._choose(inventory))
        return cached[1]

    def _choose(self, inventory: ImageInventory) -> ImageChoices:
        offered = self._filters.select(inventory.dropdown(), datetime.now(UTC))
        return _choices(inventory, offered)


def _choices(inventory: ImageInventory, offered: list[RSPImage]) -> ImageChoices:
    def show(image: RSPImage) -> FormImage:
        return FormImage(
            image.reference_with_digest,
            image.display_name,
            inventory.is_everywhere(image),
            f"{image.size / 1e9:.1f} GB" if image.size else None,
        )

    return ImageChoices(
        menu=tuple(show(image) for image in inventory.menu()),
        groups=tuple(
            (_GROUPS[kind], tuple(show(image) for image in images))
            for kind, images in groupby(offered, lambda i: i.image_type)
        ),
    )
