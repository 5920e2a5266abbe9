"""The state of the whole service, as operators see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from nublado.models.domain.configuration_file import ConfigurationFile
from nublado.models.domain.image import PrepullStatus
from nublado.models.domain.job import JobState
from nublado.models.domain.lab import LabStatus
from nublado.models.domain.problem import Problem
from nublado.models.domain.runbook import Runbook

__all__ = [
    "FailureLine",
    "FsadminLine",
    "LabLine",
    "LastEvent",
    "ObjectLine",
    "OperationLine",
    "ServiceStatus",
    "TrendStep",
    "UserStatus",
    "WatcherLine",
]


@dataclass(frozen=True, slots=True)
class LabLine:
    """A lab; ``created`` is None where unknown."""

    username: str
    status: LabStatus
    image: str
    size: str
    created: datetime | None
    node: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectLine:
    """An object of a lab.

    Parameters
    ----------
    kind, name
        Which one.
    created
        When it was made.
    state
        How it is, in words.
    """

    kind: str
    name: str
    created: datetime | None
    state: str


@dataclass(frozen=True, slots=True)
class TrendStep:
    """How many spawns came to an end within a few minutes.

    Parameters
    ----------
    began
        Beginning of those minutes.
    succeeded, failed
        How many.
    """

    began: datetime
    succeeded: int
    failed: int


@dataclass(frozen=True, slots=True)
class LastEvent:
    """The last event of an operation."""

    type: str
    message: str
    progress: int | None
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class OperationLine:
    """An operation in progress."""

    username: str
    kind: str
    started: datetime
    last_event: LastEvent | None


@dataclass(frozen=True, slots=True)
class WatcherLine:
    """A watch of Kubernetes.

    Parameters
    ----------
    name
        What is watched.
    synced
        Whether it follows the cluster.
    last_activity
        When Kubernetes last sent anything.
    idle
        Seconds since then; 0 for a watch that nobody needs now.
    lost
        Seconds for which the objects have not been followed; 0 if they are.
    connections
        How often it has connected.
    """

    name: str
    synced: bool
    last_activity: datetime
    idle: float
    lost: float
    connections: int


@dataclass(frozen=True, slots=True)
class UserStatus:
    """What is known of one user's lab and file server.

    Parameters
    ----------
    username
        The user.
    lab
        Their lab; None if they have none.
    operation
        The newest operation on it, which may be over; None if there was none.
    events
        Events of that operation.
    has_fileserver
        Whether their file server runs; None where they are disabled.
    failures
        What went wrong for them lately, the newest first.
    """

    username: str
    lab: LabLine | None
    operation: OperationLine | None
    events: tuple[LastEvent, ...]
    has_fileserver: bool | None
    failures: tuple[FailureLine, ...]


@dataclass(frozen=True, slots=True)
class FailureLine:
    """Something that went wrong; the log says more.

    Parameters
    ----------
    timestamp
        When it did so last.
    event
        What could not be done.
    message
        Why.
    user
        Whose request it was last.
    first
        When it went wrong first; None if that was once.
    count
        How often it did.
    users
        Whom it hit, the newest last; not all where these are many.
    """

    timestamp: datetime
    event: str
    message: str
    user: str | None
    first: datetime | None = None
    count: int = 1
    users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FsadminLine:
    """The pod in which operators have all file systems.

    Parameters
    ----------
    pod
        Its name.
    phase
        Its phase; None if there is no pod.
    started
        When it was started, where that is known.
    username
        Who has asked for it, where that is known.
    """

    pod: str
    phase: str | None
    started: datetime | None
    username: str | None


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """All of it at one moment.

    Parameters
    ----------
    name, version
        The application.
    started
        When the process began.
    problems
        What is wrong, the gravest first; empty if all is well.
    runbook
        Says what to do about it.
    configuration
        The configuration file, as it was found last.
    streams, most_streams
        How many event streams are open, and how many there may be.
    labs, operations
        Labs, those in trouble first, and what is being done to them.
    prepulls
        Which images are where.
    fileservers
        Users with a file server that runs; None where they are disabled.
    fsadmin
        The pod for the administration of file systems; None where it is disabled.
    jobs
        Background jobs by name.
    watchers
        Watches of Kubernetes.
    trend
        Spawns of the last hour, the oldest first.
    failures
        What went wrong lately, the newest first.
    """

    name: str
    version: str
    started: datetime
    problems: tuple[Problem, ...]
    runbook: Runbook
    configuration: ConfigurationFile
    streams: int
    most_streams: int
    labs: tuple[LabLine, ...]
    operations: tuple[OperationLine, ...]
    prepulls: PrepullStatus
    fileservers: tuple[str, ...] | None
    fsadmin: FsadminLine | None
    jobs: Mapping[str, JobState]
    watchers: tuple[WatcherLine, ...]
    trend: tuple[TrendStep, ...]
    failures: tuple[FailureLine, ...]
