"""What a user is told of the start of their lab, in words that people use.

Events and failures come with their meaning; here are the words for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from nublado.events import Event, EventType, Step
from nublado.models.domain.failure import Cause
from nublado.models.domain.history import HistoryEntry, HistoryKind
from nublado.models.domain.lab import LabState, LabStatus
from nublado.services.lab.deletion import Deletion
from nublado.services.observed.pod_end import EndReason
from nublado.services.operation import AnyOperation

__all__ = ["Advice", "Death", "Phase", "Progress", "describe_progress", "last_deaths"]

_STEPS = {
    Step.ACCEPTED: "Preparing your lab",
    Step.RESUMED: "Your lab is still being started",
    Step.CLEARING: "Clearing away what is left of your last lab",
    Step.STOPPING: "Shutting down your lab",
    Step.REMOVING: "Clearing away what belonged to your lab",
    Step.CREATED: "Looking for a machine with enough room",
    Step.WAITING_FOR_ROOM: "Waiting for room on a machine",
    Step.SCHEDULED: "Found a machine for your lab",
    Step.PULLING: "Fetching the image, which may take a few minutes",
    Step.PULL_FAILING: "The image cannot be fetched yet, trying again",
    Step.PULLED: "The image is on the machine",
    Step.PREPARING: "Getting your home directory ready",
    Step.STARTING: "Starting JupyterLab",
}
_DEFAULT_STEP = "Your lab is being started"


class Phase(StrEnum):
    """How far it has come."""

    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"
    CANCELLED = "cancelled"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Advice:
    """What has happened, and what can be done about it."""

    happened: str
    remedy: str


_ASK_OPERATORS = "tell the operators of this platform, with the messages below"
_ADVICE = {
    Cause.IMAGE: Advice(
        "The image that you chose could not be fetched.",
        "Choose another image, such as the recommended one. If that fails as"
        f" well, {_ASK_OPERATORS}.",
    ),
    Cause.NO_ROOM: Advice(
        "No machine had room for a lab of this size.",
        "Try again in a few minutes, or choose a smaller size.",
    ),
    Cause.QUOTA: Advice(
        "A lab of this size is more than you may use.",
        f"Choose a smaller size. If you need this one, {_ASK_OPERATORS}.",
    ),
    Cause.OUT_OF_MEMORY: Advice(
        "Your lab ran out of memory while it was starting.",
        "Choose a larger size, and try again.",
    ),
    Cause.EVICTED: Advice(
        "The machine of your lab ran short of something and ended it.",
        "Try again: another machine will be found.",
    ),
    Cause.POD_DELETED: Advice(
        "Your lab was removed while it was starting, by an operator or because"
        " its machine was lost.",
        "Try again.",
    ),
    Cause.PROGRAM_ENDED: Advice(
        "A program in your lab ended while the lab was starting.",
        "Try again with “Reset user environment” checked, which moves your own"
        f" settings and packages aside. If that does not help, {_ASK_OPERATORS}.",
    ),
    Cause.NOT_SET_UP: Advice(
        "This platform is not set up completely.",
        f"You can do nothing about that: {_ASK_OPERATORS}.",
    ),
    Cause.TIMED_OUT: Advice(
        "Your lab took too long to start.",
        "Try again: much of the work is done by now. A smaller size may find"
        " room sooner.",
    ),
    Cause.REFUSED: Advice(
        "The cluster that runs the labs has refused something.",
        f"Try again in a few minutes. If it fails again, {_ASK_OPERATORS}.",
    ),
    Cause.INTERRUPTED: Advice(
        "The service was interrupted before your lab had started.", "Try again."
    ),
    Cause.INTERNAL: Advice(
        "Something went wrong that should not.",
        f"Try again. If it fails again, {_ASK_OPERATORS}.",
    ),
}
_DELETION_ADVICE = Advice(
    "Something keeps your lab from being removed.",
    f"Try again in a few minutes. If it fails again, {_ASK_OPERATORS}.",
)
_TITLES = {
    Phase.STARTING: "Your lab is starting",
    Phase.RUNNING: "Your lab is running",
    Phase.FAILED: "Your lab could not be started",
    Phase.CANCELLED: "The start of your lab was cancelled",
    Phase.STOPPING: "Your lab is being shut down",
    Phase.STOPPED: "Your lab is not running",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """What is shown of an operation.

    Parameters
    ----------
    phase
        How far it has come.
    title
        The same in words.
    step
        What is being done now.
    percent
        How much of it is done, from 0 to 100.
    events
        What has happened so far.
    started
        When it began (seconds since the epoch).
    ended
        When it ended; None if it has not.
    operation
        Identifier of the operation's events.
    advice
        What has gone wrong, and what can be done; None if all is well.
    lab_path, hub_path
        Where the lab is on the platform, and where to ask for another; None
        where unknown.
    """

    phase: Phase
    title: str
    step: str
    percent: int
    events: tuple[Event, ...]
    started: float
    ended: float | None
    operation: str
    advice: Advice | None
    lab_path: str | None
    hub_path: str | None

    @property
    def is_live(self) -> bool:
        """Whether more will happen."""
        return self.ended is None


@dataclass(frozen=True, slots=True)
class Death:
    """When a lab ended or was restarted unasked, why, and what can be done.

    ``details`` is the reason in Kubernetes' words.
    """

    moment: datetime
    happened: str
    remedy: str
    details: str


_MOST_DEATHS = 5
_DEATH = Advice("its program ended.", "What was not saved is lost.")
_DEATHS: dict[str, Advice] = {
    EndReason.OUT_OF_MEMORY: Advice(
        "it needed more memory than it may have.",
        "What was not saved is lost. Choose a larger size, or work with less data at"
        " a time.",
    ),
    EndReason.EVICTED: Advice(
        "the machine had to let go of it.",
        "What was not saved is lost. Start another lab.",
    ),
    EndReason.NODE_LOST: Advice(
        "the machine that it ran on failed.",
        "What was not saved is lost. Start another lab.",
    ),
    EndReason.DELETED: Advice(
        "it was removed by somebody, not at your request.",
        f"If you do not know why, {_ASK_OPERATORS}.",
    ),
}


def describe_progress(
    operation: AnyOperation, state: LabState | None, lab_path: str | None
) -> Progress:
    """Describe the newest operation of a user.

    Parameters
    ----------
    operation
        The operation.
    state
        State of the lab; None if there is none.
    lab_path
        Where the lab is on the platform, or was; None where unknown.
    """
    events = operation.events.all()
    last = events[-1] if events else None
    ended = last is not None and last.type in (EventType.COMPLETE, EventType.FAILED)
    phase = _phase(operation, last if ended else None, state)
    return Progress(
        phase=phase,
        title=_title(operation, phase),
        step=_step(events),
        percent=_percent(events, phase),
        events=events,
        started=operation.started,
        ended=last.timestamp if last and ended else None,
        operation=operation.events.id,
        advice=_advice(operation) if phase is Phase.FAILED else None,
        lab_path=lab_path if phase is Phase.RUNNING else None,
        hub_path=_hub_path(lab_path),
    )


def last_deaths(history: Sequence[HistoryEntry]) -> list[Death]:
    """Tell what happened to the newest lab of a user since it started.

    Parameters
    ----------
    history
        What is known of the user, the newest first.
    """
    deaths = []
    for entry in history:
        if entry.kind not in (HistoryKind.LAB_ENDED, HistoryKind.LAB_RESTARTED):
            break
        words = _DEATHS.get(entry.cause or "", _DEATH)
        has_restarted = entry.kind is HistoryKind.LAB_RESTARTED
        deaths.append(
            Death(
                moment=entry.ended,
                happened=f"Your lab {'was restarted' if has_restarted else 'ended'}:"
                f" {words.happened}",
                remedy=words.remedy,
                details=entry.reason or "",
            )
        )
    return deaths[:_MOST_DEATHS]


def _step(events: Sequence[Event]) -> str:
    steps = [event.step for event in events if event.step is not None]
    return _STEPS[steps[-1]] if steps else _DEFAULT_STEP


def _phase(operation: AnyOperation, end: Event | None, state: LabState | None) -> Phase:
    if isinstance(operation, Deletion):
        if operation.cancels_spawn:
            return Phase.CANCELLED
        if end is None:
            return Phase.STOPPING
        return Phase.STOPPED if end.type is EventType.COMPLETE else Phase.FAILED
    if end is None:
        return Phase.STARTING
    if end.type is EventType.FAILED:
        return Phase.CANCELLED if operation.cancelled else Phase.FAILED
    is_running = state is not None and state.status is LabStatus.RUNNING
    return Phase.RUNNING if is_running else Phase.STOPPED


def _title(operation: AnyOperation, phase: Phase) -> str:
    if phase is Phase.FAILED and isinstance(operation, Deletion):
        return "Your lab could not be shut down"
    return _TITLES[phase]


def _percent(events: Sequence[Event], phase: Phase) -> int:
    if phase is Phase.RUNNING:
        return 100
    known = [event.progress for event in events if event.progress is not None]
    return known[-1] if known else 0


def _advice(operation: AnyOperation) -> Advice:
    if isinstance(operation, Deletion):
        return _DELETION_ADVICE
    failure = operation.failure
    return _ADVICE[failure.cause if failure else Cause.INTERNAL]


def _hub_path(lab_path: str | None) -> str | None:
    """Where JupyterHub's form is, if labs lie below JupyterHub as they do."""
    base, found, _ = (lab_path or "").partition("/user/")
    return f"{base}/hub/spawn" if found else None
