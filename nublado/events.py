"""The in-memory log of one operation, replayed to any number of readers."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Event", "EventLog", "EventType", "Step"]


class EventType(StrEnum):
    """Kind of an event; ``complete`` and ``failed`` are the last of a log."""

    INFO = "info"
    ERROR = "error"
    COMPLETE = "complete"
    FAILED = "failed"

    @property
    def is_last(self) -> bool:
        """Whether nothing comes after it."""
        return self in (EventType.COMPLETE, EventType.FAILED)


class Step(StrEnum):
    """What an event means to the user of a lab."""

    ACCEPTED = "accepted"
    RESUMED = "resumed"
    CLEARING = "clearing"
    CLEARED = "cleared"
    STOPPING = "stopping"
    REMOVING = "removing"
    CREATED = "created"
    WAITING_FOR_ROOM = "waiting-for-room"
    SCHEDULED = "scheduled"
    PULLING = "pulling"
    PULL_FAILING = "pull-failing"
    PULLED = "pulled"
    PREPARING = "preparing"
    MOUNT_FAILING = "mount-failing"
    MACHINE_FAILING = "machine-failing"
    INIT_FAILING = "init-failing"
    STARTING = "starting"
    START_FAILING = "start-failing"


@dataclass(frozen=True, slots=True)
class Event:
    """One step of an operation.

    Parameters
    ----------
    number
        Position in its log, counted from 1.
    type
        Kind of event.
    message
        Text for the user.
    progress
        Estimated share that is done, in percent; None if unknown.
    timestamp
        When it happened, seconds since the epoch.
    step
        What it means to the user; None if nothing in particular.
    reason, container
        Kubernetes' word for it and the container that it is about; None for
        what is not of Kubernetes.
    """

    number: int
    type: EventType
    message: str
    progress: int | None
    timestamp: float
    step: Step | None = None
    reason: str | None = None
    container: str | None = None


class EventLog:
    """Append-only list of events; listeners are told of each until it is closed.

    Once a ``complete`` or ``failed`` event is in, the log is closed and
    whatever comes later is dropped: a reader sees exactly one last event.
    """

    def __init__(self) -> None:
        self.id = f"{random.getrandbits(48):012x}"
        self._events: list[Event] = []
        self._closed = False
        self._listeners: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def info(
        self,
        message: str,
        progress: int | None = None,
        *,
        step: Step | None = None,
        reason: str | None = None,
        container: str | None = None,
    ) -> None:
        """Report a step; parameters as of `Event`."""
        self._append(EventType.INFO, message, progress, step, reason, container)

    def error(self, message: str) -> None:
        """Report why the operation is failing; `failed` has to follow."""
        self._append(EventType.ERROR, message, None)

    def complete(self, message: str, progress: int | None = None) -> None:
        """Report success and close the log."""
        self._append(EventType.COMPLETE, message, progress)

    def failed(self, message: str) -> None:
        """Report failure and close the log."""
        self._append(EventType.FAILED, message, None)

    def close(self) -> None:
        """End the log without a last event, as when the process stops."""
        with self._lock:
            self._closed = True
        self._tell()

    @property
    def closed(self) -> bool:
        """Whether no more events will come."""
        return self._closed

    def all(self) -> tuple[Event, ...]:
        """What has happened so far."""
        return self.since(0)[0]

    @property
    def last(self) -> Event | None:
        """The newest event."""
        with self._lock:
            return self._events[-1] if self._events else None

    def since(self, start: int) -> tuple[tuple[Event, ...], bool]:
        """Events from a position on.

        Parameters
        ----------
        start
            How many events the reader has had already.

        Returns
        -------
        tuple
            The new events, and whether the log ended with them.
        """
        with self._lock:
            return tuple(self._events[start:]), self._closed

    def listen(self, listener: Callable[[], None]) -> None:
        """Call a listener, which must not block, after each change."""
        with self._lock:
            self._listeners.append(listener)

    def unlisten(self, listener: Callable[[], None]) -> None:
        """Call a listener no more."""
        with self._lock:
            self._listeners.remove(listener)

    def _append(
        self,
        type_: EventType,
        message: str,
        progress: int | None,
        step: Step | None = None,
        reason: str | None = None,
        container: str | None = None,
    ) -> None:
        with self._lock:
            if self._closed:
                return
            number, now = len(self._events) + 1, time.time()
            self._events.append(
                Event(number, type_, message, progress, now, step, reason, container)
            )
            self._closed = type_.is_last
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener()
