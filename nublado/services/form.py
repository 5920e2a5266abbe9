"""What the spawner form offers to a user, and what it tells them before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from nublado.config.model import LabConfig, LabSizeDefinition
from nublado.exceptions import InsufficientQuotaError, InvalidDockerReferenceError
from nublado.models.domain.docker import DockerReference
from nublado.models.domain.gafaelfawr import UserInfo
from nublado.models.domain.history import HistoryEntry, HistoryKind, Result
from nublado.models.domain.image_filter import ImageFilters
from nublado.models.domain.lab import LabState, LabStatus
from nublado.models.domain.resources import Resources
from nublado.models.domain.rsptag import RSPImageTag
from nublado.models.domain.text import Text
from nublado.services.builder.lab import LabBuilder
from nublado.services.form_images import FormImage, ImageChoices, choose_images
from nublado.services.history import History
from nublado.services.image import ImageService
from nublado.services.image_inventory import ImageInventory
from nublado.services.lab.record import LabTable
from nublado.services.observed.pod_end import EndReason
from nublado.services.progress.ends import ends_of_lab
from nublado.services.progress.sizes import Sizes

__all__ = [
    "FormService",
    "LabThere",
    "LastChoice",
    "LastEnd",
    "SizeChoice",
    "SpawnerForm",
]

_GIBIBYTE = 2**30
_NO_LABS = Text("Your account may not run labs. Ask the operators of this platform.")
_NO_SIZE = Text(
    "Your quota is too small for every size of lab that there is here. Ask the"
    " operators of this platform for more."
)
_NO_IMAGES = Text(
    "No images are known. Try again in a few minutes, and tell the operators of this"
    " platform if that does not help."
)
_PURPOSES = (
    (4, Text("For looking around, and for small notebooks.")),
    (15, Text("For most work.")),
    (float("inf"), Text("For large catalogues and many images at a time.")),
)
"""What a size is good for, by the GiB of memory that it has at most."""

_THERE = frozenset({LabStatus.PENDING, LabStatus.RUNNING, LabStatus.TERMINATING})
_OF_LABS = frozenset(
    {HistoryKind.SPAWN, HistoryKind.LAB_ENDED, HistoryKind.LAB_RESTARTED}
)
"""What counts for the next lab: not how what was left of one was cleared away."""


@dataclass(frozen=True, slots=True)
class SizeChoice:
    """A size to choose.

    Parameters
    ----------
    size
        Value of the choice.
    label
        Name and limits.
    purpose
        What it is good for; a plain text is the operators' own.
    is_allowed
        Whether the user's quota is large enough.
    is_default
        Whether it is chosen at first.
    """

    size: str
    label: str
    purpose: Text | str
    is_allowed: bool
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class LabThere:
    """The lab that the user has already.

    Parameters
    ----------
    status
        What it does.
    image, size
        Names of them.
    since
        When it was requested; None where unknown.
    path
        Where it is on the platform; None where unknown.
    """

    status: LabStatus
    image: str
    size: str
    since: datetime | None
    path: str | None

    @property
    def may_be_replaced(self) -> bool:
        """Whether another one can be asked for while it is there."""
        return self.status is not LabStatus.TERMINATING


@dataclass(frozen=True, slots=True)
class LastEnd:
    """How the last lab came to its end, if not at the user's request.

    Parameters
    ----------
    moment
        When.
    happened
        Why; None for one that never started.
    remedy
        What to choose in the form; None if nothing follows for that. The page of its
        progress tells more.
    """

    moment: datetime
    happened: Text | None = None
    remedy: Text | None = None


@dataclass(frozen=True, slots=True)
class SpawnerForm:
    """All that a user may choose; ``refusal`` says why nothing.

    Parameters
    ----------
    images
        The images on offer.
    chosen
        The one that is chosen at first; None if there are none.
    is_last_choice
        Whether that is what the user had last.
    gone
        Name of the image that the user had last, if it is no longer offered.
    sizes
        All sizes.
    quota
        What the user may use; None without a limit.
    enable_debug
        Whether that is chosen at first.
    lab
        The lab that the user has already.
    last_end
        How the last one ended.
    refusal
        Why no lab can be started.
    """

    images: ImageChoices
    chosen: FormImage | None
    is_last_choice: bool
    gone: str | None
    sizes: tuple[SizeChoice, ...]
    quota: Resources | None
    enable_debug: bool
    lab: LabThere | None
    last_end: LastEnd | None
    refusal: Text | None = None


@dataclass(frozen=True, slots=True)
class LastChoice:
    """What a user had last.

    Parameters
    ----------
    image
        Reference of the image; None if that is not known.
    size
        Name of the size; None if that is not known.
    enable_debug
        Whether the lab was to log more.
    """

    image: str | None
    size: str | None
    enable_debug: bool = False


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
        Which of them the list offers.
    labs
        Which labs there are.
    history
        What users had before.
    """

    def __init__(
        self,
        config: LabConfig,
        builder: LabBuilder,
        images: ImageService,
        filters: ImageFilters,
        *,
        labs: LabTable,
        history: History,
    ) -> None:
        self._config = config
        self._filters = filters
        self._builder = builder
        self._images = images
        self._labs = labs
        self._history = history
        self._choices: tuple[ImageInventory, date, ImageChoices] | None = None

    def form(self, user: UserInfo, remembered: LastChoice | None = None) -> SpawnerForm:
        """Make the form of a user.

        Parameters
        ----------
        user
            Who it is for.
        remembered
            What others remember of their last choice, for where nothing is known.
        """
        state = self._labs.state(user.username)
        history = [e for e in self._history.of(user.username) if e.kind in _OF_LABS]
        last = _last_choice(state, history) or remembered or LastChoice(None, None)
        images = self._image_choices()
        chosen = images.find(last.image) if last.image else None
        quota = user.notebook_quota
        sizes = self._sizes(user, last.size)
        return SpawnerForm(
            images=images,
            chosen=chosen or images.first,
            is_last_choice=chosen is not None,
            gone=_name(last.image) if last.image and not chosen else None,
            sizes=sizes,
            quota=quota.resources if quota else None,
            enable_debug=last.enable_debug,
            lab=self._lab_there(state),
            last_end=self._last_end(user, history),
            refusal=self._refusal(user, sizes, images),
        )

    def _refusal(
        self, user: UserInfo, sizes: Sequence[SizeChoice], images: ImageChoices
    ) -> Text | None:
        quota = user.notebook_quota
        if quota is not None and not quota.spawn:
            return _NO_LABS
        if not any(size.is_allowed for size in sizes):
            return _NO_SIZE
        return None if images.count else _NO_IMAGES

    # --- Sizes -----------------------------------------------------------

    def _sizes(self, user: UserInfo, last: str | None) -> tuple[SizeChoice, ...]:
        """All sizes; the default is one of those that the user may have."""
        allowed = self._allowed_sizes(user)
        wanted = (last, self._config.default_size, *allowed)
        default = next((size for size in wanted if size in allowed), None)
        return tuple(
            SizeChoice(
                definition.size,
                definition.label,
                definition.description or _purpose(definition),
                is_allowed=definition.size in allowed,
                is_default=definition.size == default,
            )
            for definition in self._config.sizes
        )

    def _allowed_sizes(self, user: UserInfo) -> list[str]:
        return [
            definition.size
            for definition in self._config.sizes
            if self._is_allowed(user, definition.size)
        ]

    def _is_allowed(self, user: UserInfo, size: str) -> bool:
        try:
            self._builder.check_quota(user, size)
        except InsufficientQuotaError:
            return False
        return True

    # --- What there is and was -------------------------------------------

    def _lab_there(self, state: LabState | None) -> LabThere | None:
        if state is None or state.status not in _THERE:
            return None
        return LabThere(
            status=state.status,
            image=self._image_choices().name_of(state.options.image)
            or _name(state.options.image),
            size=state.options.size.title(),
            since=state.created,
            path=state.path,
        )

    def _last_end(
        self, user: UserInfo, history: Sequence[HistoryEntry]
    ) -> LastEnd | None:
        """How the last lab ended, unless at the user's request."""
        if not history:
            return None
        last = history[0]
        if last.kind is HistoryKind.SPAWN and last.result is Result.FAILED:
            return LastEnd(last.ended)
        if last.kind is not HistoryKind.LAB_ENDED:
            return None
        end = ends_of_lab([last], None, self._sizes_around(user, last.size))[0]
        is_memory = last.cause == EndReason.OUT_OF_MEMORY
        return LastEnd(end.moment, end.happened, end.remedy if is_memory else None)

    def _sizes_around(self, user: UserInfo, size: str | None) -> Sizes:
        for definition in self._config.sizes:
            if definition.size == size:
                limits = definition.resources.limits
                return Sizes.around_limits(limits, user, self._config.sizes)
        return Sizes()

    # --- Images ----------------------------------------------------------

    def _image_choices(self) -> ImageChoices:
        """Make the choices of images, once for each inventory and day."""
        inventory, now = self._images.inventory, datetime.now(UTC)
        cached = self._choices
        if cached is None or cached[0] is not inventory or cached[1] != now.date():
            choices = choose_images(inventory, self._filters, now)
            cached = self._choices = (inventory, now.date(), choices)
        return cached[2]


def _last_choice(
    state: LabState | None, history: Sequence[HistoryEntry]
) -> LastChoice | None:
    """What the user has, or had last."""
    if state is not None:
        options = state.options
        return LastChoice(options.image, options.size, options.enable_debug)
    for entry in history:
        if entry.image is not None:
            return LastChoice(entry.image, entry.size, entry.enable_debug)
    return None


def _name(reference: str) -> str:
    """Name of an image that may not exist any more."""
    try:
        parsed = DockerReference.parse(reference)
    except InvalidDockerReferenceError:
        return reference
    return RSPImageTag.parse(parsed.tag).display_name if parsed.tag else reference


def _purpose(definition: LabSizeDefinition) -> Text:
    memory = definition.resources.limits.memory / _GIBIBYTE
    return next(purpose for most, purpose in _PURPOSES if memory <= most)
