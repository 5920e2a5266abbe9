"""What a user is told of the start of their lab, in words that people use.

Kubernetes' messages are for those who know Kubernetes. Here they are turned
into steps, and failures into what has happened and what can be done.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from nublado.events import Event, EventType
from nublado.models.domain.lab import LabState, LabStatus
from nublado.services.lab.operation import Operation, OperationKind

__all__ = [
    "STEPS",
    "Advice",
    "Phase",
    "Progress",
    "describe_progress",
    "step_of",
]

STEPS = (
    (r"^Starting lab creation", "Preparing your lab"),
    (r"^Monitoring in-progress", "Your lab is still being started"),
    (r"^Deleting existing failed lab", "Clearing away what is left of your last lab"),
    (r"^Shutting down Kubernetes pod", "Shutting down your lab"),
    (r"^Deleting user namespace", "Clearing away what belonged to your lab"),
    (r"^Created Kubernetes objects", "Looking for a machine with enough room"),
    (r"FailedScheduling|nodes are available", "Waiting for room on a machine"),
    (r"^Successfully assigned", "Found a machine for your lab"),
    (
        r"ImagePullBackOff|ErrImagePull|Back-off pulling|Failed to pull",
        "The image cannot be fetched yet, trying again",
    ),
    (r"^Pulling image", "Fetching the image, which may take a few minutes"),
    (r"already present on machine", "The image is on the machine already"),
    (r"^Successfully pulled", "The image has been fetched"),
    (r"^(Created|Started) container:? notebook", "Starting JupyterLab"),
    (r"^(Created|Started) container", "Getting your home directory ready"),
)
"""Patterns of messages and what they mean to a user; the first match counts.

The page uses them too, so they are patterns for JavaScript as well.
"""

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
_FAILURES = (
    (
        r"ImagePullBackOff|ErrImagePull|Back-off pulling|Failed to pull",
        Advice(
            "The image that you chose could not be fetched.",
            "Choose another image, such as the recommended one. If that fails as"
            f" well, {_ASK_OPERATORS}.",
        ),
    ),
    (
        r"FailedScheduling|nodes are available",
        Advice(
            "No machine had room for a lab of this size.",
            "Try again in a few minutes, or choose a smaller size.",
        ),
    ),
    (
        r"exceeded quota|Insufficient quota",
        Advice(
            "A lab of this size is more than you may use.",
            f"Choose a smaller size. If you need this one, {_ASK_OPERATORS}.",
        ),
    ),
    (
        r"OOMKilled",
        Advice(
            "Your lab ran out of memory while it was starting.",
            "Choose a larger size, and try again.",
        ),
    ),
    (
        r"Evicted|low on resource",
        Advice(
            "The machine of your lab ran short of something and ended it.",
            "Try again: another machine will be found.",
        ),
    ),
    (
        r"was deleted before the lab had started",
        Advice(
            "Your lab was removed while it was starting, by an operator or because"
            " its machine was lost.",
            "Try again.",
        ),
    ),
    (
        r"exited with code|Lab pod (ended|failed)",
        Advice(
            "A program in your lab ended while the lab was starting.",
            "Try again with “Reset user environment” checked, which moves your own"
            f" settings and packages aside. If that does not help, {_ASK_OPERATORS}.",
        ),
    ),
    (
        r"[Ss]ecret .* does not exist|No key .* in secret",
        Advice(
            "This platform is not set up completely.",
            f"You can do nothing about that: {_ASK_OPERATORS}.",
        ),
    ),
    (
        r"timed out",
        Advice(
            "Your lab took too long to start.",
            "Try again: much of the work is done by now. A smaller size may find"
            " room sooner.",
        ),
    ),
    (
        r"^Error (creating|reading|listing|deleting|watching)",
        Advice(
            "The cluster that runs the labs has refused something.",
            f"Try again in a few minutes. If it fails again, {_ASK_OPERATORS}.",
        ),
    ),
)
"""Patterns of reasons, what they mean, and what helps; the first match counts."""

_UNKNOWN_FAILURE = Advice(
    "Something went wrong that should not.",
    f"Try again. If it fails again, {_ASK_OPERATORS}.",
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


def describe_progress(operation: Operation, state: LabState | None) -> Progress:
    """Describe the newest operation of a user.

    Parameters
    ----------
    operation
        The operation.
    state
        State of the lab; None if there is none.
    """
    events = operation.events.all()
    last = events[-1] if events else None
    ended = last is not None and last.type in (EventType.COMPLETE, EventType.FAILED)
    phase = _phase(operation, last if ended else None, state)
    path = state.path if state else operation.lab_path
    return Progress(
        phase=phase,
        title=_title(operation, phase),
        step=step_of(last.message) if last else _DEFAULT_STEP,
        percent=_percent(events, phase),
        events=events,
        started=operation.started,
        ended=last.timestamp if last and ended else None,
        operation=operation.events.id,
        advice=_advice(events) if phase is Phase.FAILED else None,
        lab_path=path if phase is Phase.RUNNING else None,
        hub_path=_hub_path(path),
    )


def step_of(message: str) -> str:
    """Say what a message means to a user."""
    for pattern, words in STEPS:
        if re.search(pattern, message):
            return words
    return _DEFAULT_STEP


def _phase(operation: Operation, end: Event | None, state: LabState | None) -> Phase:
    if operation.kind is OperationKind.DELETE:
        if operation.cancels:
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


def _title(operation: Operation, phase: Phase) -> str:
    if phase is Phase.FAILED and operation.kind is OperationKind.DELETE:
        return "Your lab could not be shut down"
    return _TITLES[phase]


def _percent(events: Sequence[Event], phase: Phase) -> int:
    if phase is Phase.RUNNING:
        return 100
    known = [event.progress for event in events if event.progress is not None]
    return known[-1] if known else 0


def _advice(events: Sequence[Event]) -> Advice:
    """Find out what has gone wrong: what is said last weighs most.

    Only what the failure is called may be no more than that it took too long;
    the reason for that was told before.
    """
    reasons = [event.message for event in events if event.type is EventType.ERROR]
    if all("timed out" in reason for reason in reasons):
        reasons = [*(event.message for event in events[-5:]), *reasons]
    for pattern, advice in _FAILURES:
        if any(re.search(pattern, reason) for reason in reasons):
            return advice
    return _UNKNOWN_FAILURE


def _hub_path(lab_path: str | None) -> str | None:
    """Where JupyterHub's form is, if labs lie below JupyterHub as they do."""
    base, found, _ = (lab_path or "").partition("/user/")
    return f"{base}/hub/spawn" if found else None
