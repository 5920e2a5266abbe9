"""How far a file server is, and why it is no further, in words for its user."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from nublado.models.domain.failure import Cause
from nublado.models.domain.history import HistoryKind, Result
from nublado.models.domain.text import Text
from nublado.services.fileserver.creation import Creation
from nublado.services.fileserver.record import FileserverRecord
from nublado.services.history import History
from nublado.services.observed.fileserver import ObservedFileserver, Obstacle
from nublado.services.observed.steps import Mark
from nublado.services.operation import AnyOperation

__all__ = [
    "FilesFailure",
    "FilesPhase",
    "FilesProgress",
    "FilesStep",
    "describe_files",
    "has_failed_lately",
]

_LATELY_SECONDS = 7 * 86400.0
_MOST_COMPARED = 20
_REMEMBERED_SECONDS = 600.0
"""For how long a failure is shown to whoever opens the page, not tried again."""


class FilesPhase(StrEnum):
    """What a file server does."""

    STARTING = "starting"
    CLEARING = "clearing"
    RUNNING = "running"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_live(self) -> bool:
        """Whether something else follows by itself."""
        return self in (FilesPhase.STARTING, FilesPhase.CLEARING)


@dataclass(frozen=True, slots=True)
class FilesStep:
    """A step on the way to a file server that can be used."""

    name: Text
    mark: Mark


@dataclass(frozen=True, slots=True)
class FilesFailure:
    """Why there is no file server.

    Parameters
    ----------
    happened
        What has happened.
    remedy
        What its user can do.
    details
        The reason in Kubernetes' words.
    request_id
        What its lines in the log have in common.
    """

    happened: Text
    remedy: Text
    details: str
    request_id: str


@dataclass(frozen=True, slots=True)
class FilesProgress:
    """What is shown of a file server.

    Parameters
    ----------
    phase
        What it does.
    steps
        The way to it, while it is on it.
    seconds
        For how long it has been on it.
    usual_seconds
        How long that took the last users; None if there were none lately.
    failure
        Why there is none.
    """

    phase: FilesPhase
    steps: tuple[FilesStep, ...] = ()
    seconds: float = 0.0
    usual_seconds: float | None = None
    failure: FilesFailure | None = None


_STEPS = (
    Text("Setting it up"),
    Text("Starting it on a machine"),
    Text("Giving it an address"),
)
_STEP_OF = {
    Obstacle.NO_POD: 0,
    Obstacle.POD: 1,
    Obstacle.ENDED: 1,
    Obstacle.NO_INGRESS: 2,
    Obstacle.NO_ADDRESS: 2,
}

_TELL = Text("You can do nothing about that: tell the operators of this platform.")
_LATER = Text(
    "Try again in a few minutes. If it fails again, tell the operators of this"
    " platform."
)
_CANCELLED = (
    Text("It was stopped while it was starting."),
    Text("If you do not know why, ask the operators of this platform."),
)
_ENDED = (Text("Its program ended while it was starting."), _LATER)
_NO_IMAGE = (Text("The program of file servers could not be fetched."), _TELL)
_NO_MACHINE = (Text("No machine had room for it."), _LATER)
_CAUSES: dict[Cause, tuple[Text, Text]] = {
    Cause.IMAGE: _NO_IMAGE,
    Cause.IMAGE_MISSING: _NO_IMAGE,
    Cause.IMAGE_DENIED: _NO_IMAGE,
    Cause.NO_ROOM: _NO_MACHINE,
    Cause.NO_NODE: _NO_MACHINE,
    Cause.MACHINE: (Text("The machine that was found for it cannot run it."), _LATER),
    Cause.STORAGE: (
        Text("Your files could not be reached: their storage did not answer."),
        _LATER,
    ),
    Cause.KUBERNETES: (
        Text("The cluster that runs the labs did not answer."),
        _LATER,
    ),
    Cause.QUOTA: (Text("There are as many file servers as there may be."), _LATER),
    Cause.PROGRAM_ENDED: _ENDED,
    Cause.NOT_SET_UP: (Text("This platform is not set up completely."), _TELL),
    Cause.REFUSED: (Text("The cluster that runs it has refused something."), _LATER),
}
_OBSTACLES: dict[Obstacle | None, tuple[Text, Text]] = {
    Obstacle.NO_POD: (Text("The cluster did not let it start."), _TELL),
    Obstacle.POD: (Text("It took too long to start."), _LATER),
    Obstacle.ENDED: _ENDED,
    Obstacle.NO_INGRESS: (Text("It started, but was given no address."), _TELL),
    Obstacle.NO_ADDRESS: (Text("It started, but was given no address."), _TELL),
}
_WRONG = (Text("Something went wrong that should not."), _LATER)


def describe_files(
    record: FileserverRecord | None, observed: ObservedFileserver, history: History
) -> FilesProgress:
    """Describe the file server of a user, or the way to it.

    Parameters
    ----------
    record
        What is known of it; None if nothing ever was.
    observed
        What the watches know of it.
    history
        How long others took.
    """
    if record is None:
        return FilesProgress(FilesPhase.STOPPED)
    operation, creation = record.operation, record.creation
    if isinstance(operation, Creation) and operation.failure is None:
        return FilesProgress(
            FilesPhase.STARTING,
            tuple(_steps(observed)),
            max(0.0, time.time() - operation.started),
            _usual_seconds(history),
        )
    if operation is not None:
        return FilesProgress(FilesPhase.CLEARING)
    if record.job_uid is not None:
        return FilesProgress(FilesPhase.RUNNING)
    if isinstance(creation, Creation) and _has_failed(creation):
        return FilesProgress(FilesPhase.FAILED, failure=_failure(creation))
    return FilesProgress(FilesPhase.STOPPED)


def _usual_seconds(history: History) -> float | None:
    """How long creations took that succeeded lately."""
    taken = [
        seconds
        for entry in history.since(_LATELY_SECONDS)
        if entry.kind is HistoryKind.FILESERVER_CREATION
        and entry.result is Result.SUCCEEDED
        and (seconds := entry.total_seconds) is not None
    ]
    return median(taken[:_MOST_COMPARED]) if taken else None


def has_failed_lately(creation: AnyOperation | None) -> bool:
    """Whether a creation has failed so lately that another one has to be asked for."""
    if creation is None or not _has_failed(creation):
        return False
    last = creation.events.last
    return last is not None and time.time() - last.timestamp < _REMEMBERED_SECONDS


def _has_failed(creation: AnyOperation) -> bool:
    return creation.failure is not None or creation.cancelled


def _steps(observed: ObservedFileserver) -> Iterator[FilesStep]:
    obstacle = observed.obstacle
    present = len(_STEPS) if obstacle is None else _STEP_OF[obstacle]
    for number, name in enumerate(_STEPS):
        if number == present:
            yield FilesStep(name, Mark.NOW)
        else:
            yield FilesStep(name, Mark.DONE if number < present else Mark.AHEAD)


def _failure(creation: Creation) -> FilesFailure:
    happened, remedy = _words(creation)
    return FilesFailure(happened, remedy, creation.reason, creation.request_id)


def _words(creation: Creation) -> tuple[Text, Text]:
    failure = creation.failure
    if failure is None:
        return _CANCELLED
    if failure.cause is Cause.TIMED_OUT:
        return _OBSTACLES.get(creation.obstacle, _WRONG)
    return _CAUSES.get(failure.cause, _WRONG)
