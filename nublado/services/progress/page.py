"""All that the page of a lab shows, as one function of what is known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from nublado.config.model import LabSizeDefinition
from nublado.events import Event, EventType
from nublado.models.domain.failure import Cause
from nublado.models.domain.history import Asker, HistoryEntry
from nublado.models.domain.lab import LabState, LabStatus
from nublado.models.domain.text import Text
from nublado.services.observed.estimates import Estimate, estimate
from nublado.services.observed.steps import (
    LabStep,
    Mark,
    deletion_steps,
    recalled_steps,
    spawn_steps,
)
from nublado.services.observed.timeline import was_fetched
from nublado.services.operation import AnyOperation
from nublado.services.progress.advice import (
    DELETION_FAILED,
    Advice,
    advise,
    words_while_waiting,
)
from nublado.services.progress.ends import LabEnd, ends_of_lab, who_stopped
from nublado.services.progress.events import ShownEvent, show_events
from nublado.services.progress.image import LabImage
from nublado.services.progress.sizes import Sizes
from nublado.services.progress.story import Story, StoryKind, story_of
from nublado.services.progress.support import support_text
from nublado.services.progress.words import Phase, words_of_phase, words_of_step

__all__ = ["Known", "Progress", "ShownStep", "describe_progress"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a user's lab at one moment.

    Parameters
    ----------
    operation
        The newest operation on it.
    state
        The lab; None if there is none.
    last_state
        The lab as it was when there was one last; None where unknown.
    image
        Its image, and where that is.
    history
        What was done for its user, the newest first.
    spawns
        The last spawns of all users, the newest first.
    sizes
        The sizes that there are.
    now
        The time (seconds since the epoch).
    is_blind
        Whether nobody sees just now what becomes of labs.
    """

    operation: AnyOperation
    state: LabState | None
    last_state: LabState | None
    image: LabImage
    history: Sequence[HistoryEntry]
    spawns: Iterable[HistoryEntry]
    sizes: Sequence[LabSizeDefinition]
    now: float
    is_blind: bool = False


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A step in words; ``seconds`` is None where nobody knows."""

    mark: Mark
    text: Text
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is shown of a lab.

    Parameters
    ----------
    phase
        How far it has come.
    title
        The same in words.
    is_of_spawn
        Whether it is about a lab that is to come.
    steps
        The steps of the operation.
    step
        What is being done now; None if nothing is.
    waits_for
        What keeps it waiting; None if nothing does.
    advice
        What has gone wrong, and what can be done; None if all is well.
    ends
        What has happened to the lab since it started, the newest first.
    stopped_by
        Who has stopped it; None where nobody has, or nobody knows.
    estimate
        How long it usually takes; None where that is not known, or it is over.
    percent
        How much of it is done, from 0 to 100.
    started, ended
        When the operation began and ended (seconds since the epoch); ``ended`` is
        None if it has not, or nobody knows.
    is_over
        Whether it has ended.
    now
        The time (seconds since the epoch).
    operation
        Identifier of the events of the newest operation.
    heard
        How many events that has had.
    is_followed
        Whether it will have more.
    lab
        The lab, or the one that was there last; None where unknown.
    image
        Its image.
    node
        Where it is, or was; None where unknown.
    is_blind
        Whether this is only what was known last.
    can_cancel
        Whether its user can cancel what is being done.
    lab_path, hub_path
        Where the lab is on the platform, and where to ask for another; None
        where there is none.
    story
        What is told.
    newest
        The newest operation.
    """

    phase: Phase
    title: Text
    is_of_spawn: bool
    steps: tuple[ShownStep, ...]
    step: Text | None
    waits_for: Text | None
    advice: Advice | None
    ends: tuple[LabEnd, ...]
    stopped_by: Text | None
    estimate: Estimate | None
    percent: int
    started: float
    ended: float | None
    is_over: bool
    now: float
    operation: str
    heard: int
    is_followed: bool
    lab: LabState | None
    image: LabImage
    node: str | None
    is_blind: bool
    can_cancel: bool
    lab_path: str | None
    hub_path: str | None
    story: Story = field(repr=False)
    newest: AnyOperation = field(repr=False)

    @property
    def events(self) -> tuple[ShownEvent, ...]:
        """What has happened so far, and to the lab since."""
        ended = [ShownEvent(EventType.ERROR, e.moment, e.details) for e in self.ends]
        shown = [*show_events(self.story.events), *ended]
        return tuple(sorted(shown, key=lambda event: event.moment))

    @property
    def support(self) -> str:
        """What whoever helps the user wants to know."""
        return support_text(self.newest, self.story, self.lab, self.ends, self.now)

    @property
    def seconds(self) -> float:
        """How long it took, or has taken until now."""
        end = self.now if self.ended is None else self.ended
        return max(0.0, end - self.started)

    @property
    def is_late(self) -> bool:
        """Whether it takes much longer than usual."""
        return self.estimate is not None and self.seconds > self.estimate.late_after

    @property
    def asked_for(self) -> datetime | None:
        """When the lab was asked for; None where unknown."""
        if self.is_of_spawn:
            return datetime.fromtimestamp(self.started, UTC)
        return self.lab.created if self.lab is not None else None

    @property
    def version(self) -> str:
        """Is another as soon as the page has something new to say.

        Time that passes is nothing new.
        """
        marks = [(step.mark, str(step.text)) for step in self.steps]
        said = (
            self.operation,
            self.heard,
            self.is_followed,
            self.phase,
            marks,
            str(self.waits_for),
            [end.moment for end in self.ends],
            self.is_late,
            self.is_blind,
            self.node,
            self.lab_path,
        )
        return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def describe_progress(known: Known) -> Progress:
    """Describe the newest operation on a lab, and what has become of the lab."""
    heard = known.operation.events.all()
    story = story_of(known.operation, known.history)
    lab = known.state or known.last_state
    sizes = Sizes.around(lab, known.sizes)
    since = story.accepted if story.is_of_spawn else None
    ends = ends_of_lab(known.history, since, sizes)
    phase = _phase(story, known.state, ends)
    steps = _shown_steps(story, known.now)
    path = lab.path if lab is not None else None
    is_starting = phase is Phase.STARTING
    return Progress(
        phase=phase,
        title=words_of_phase(phase, of_deletion=story.kind is StoryKind.DELETION),
        is_of_spawn=story.is_of_spawn,
        steps=steps,
        step=next((step.text for step in steps if step.mark is Mark.NOW), None),
        waits_for=words_while_waiting(story.trouble) if story.trouble else None,
        advice=_advice(story, sizes) if phase is Phase.FAILED else None,
        ends=ends,
        stopped_by=_stopped_by(story, phase),
        estimate=_estimate(known, story, lab) if is_starting else None,
        percent=_percent(story.events, phase),
        started=story.accepted,
        ended=story.ended,
        is_over=story.end is not None,
        now=known.now,
        operation=known.operation.events.id,
        heard=len(heard),
        is_followed=not (heard and heard[-1].type.is_last),
        lab=lab,
        image=known.image,
        node=story.node,
        is_blind=known.is_blind,
        can_cancel=is_starting,
        lab_path=path if phase is Phase.RUNNING else None,
        hub_path=_hub_path(path),
        story=story,
        newest=known.operation,
    )


def _phase(story: Story, state: LabState | None, ends: Sequence[LabEnd]) -> Phase:
    end = story.end
    has_failed = end is not None and end.type is EventType.FAILED
    match story.kind:
        case StoryKind.LOST_SPAWN:
            return Phase.FAILED if has_failed else Phase.INTERRUPTED
        case StoryKind.CANCELLATION:
            return Phase.FAILED if has_failed else Phase.CANCELLED
        case StoryKind.DELETION if has_failed:
            return Phase.FAILED
        case StoryKind.DELETION if end is None:
            return Phase.STOPPING
        case StoryKind.DELETION:
            has_ended = any(not each.was_restarted for each in ends)
            return Phase.ENDED if has_ended else Phase.STOPPED
    if end is None:
        return Phase.STARTING
    if has_failed:
        return Phase.CANCELLED if story.cancelled else Phase.FAILED
    return _phase_of_lab(state)


def _phase_of_lab(state: LabState | None) -> Phase:
    """How it stands with a lab that has started."""
    match state.status if state is not None else None:
        case LabStatus.RUNNING:
            return Phase.RUNNING
        case LabStatus.TERMINATING:
            return Phase.STOPPING
        case None:
            return Phase.STOPPED
        case _:
            return Phase.ENDED


def _shown_steps(story: Story, now: float) -> tuple[ShownStep, ...]:
    fetched = was_fetched(story.events)
    return tuple(
        ShownStep(step.mark, words_of_step(step, fetched=fetched), step.seconds)
        for step in _steps(story, now)
    )


def _steps(story: Story, now: float) -> tuple[LabStep, ...]:
    if story.is_recalled:
        return recalled_steps(story.recalled.seconds if story.recalled else {})
    if story.kind is not StoryKind.SPAWN:
        return deletion_steps(story.events, accepted=story.accepted, now=now)
    return spawn_steps(
        story.events,
        accepted=story.accepted,
        began=story.began,
        now=now,
        cancelled=story.cancelled,
    )


def _advice(story: Story, sizes: Sizes) -> Advice:
    if not story.is_of_spawn:
        return DELETION_FAILED
    return advise(story.cause or Cause.INTERNAL, sizes)


def _stopped_by(story: Story, phase: Phase) -> Text | None:
    is_told = (
        phase is Phase.STOPPED
        or (phase is Phase.STOPPING and story.asker is not Asker.SERVICE)
        or (phase is Phase.CANCELLED and story.asker is not Asker.USER)
    )
    if not is_told or story.asker is None:
        return None
    return who_stopped(story.asker)


def _estimate(known: Known, story: Story, lab: LabState | None) -> Estimate | None:
    if lab is None:
        return None
    fetched = was_fetched(story.events)
    if fetched is None:
        fetched = known.image.lacks(story.node)
    options = lab.options
    return estimate(known.spawns, options.image, options.size, fetched=fetched)


def _percent(events: Sequence[Event], phase: Phase) -> int:
    if phase is Phase.RUNNING:
        return 100
    known = [event.progress for event in events if event.progress is not None]
    return known[-1] if known else 0


def _hub_path(lab_path: str | None) -> str | None:
    """Where JupyterHub's form is, if labs lie below JupyterHub as they do."""
    base, found, _ = (lab_path or "").partition("/user/")
    return f"{base}/hub/spawn" if found else None
