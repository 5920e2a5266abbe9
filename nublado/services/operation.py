"""Operations: whatever is done to a lab or a file server, in a thread of its own."""

from __future__ import annotations

import queue
import random
import threading
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import structlog

from nublado.confidential import Confidential, keeping
from nublado.events import EventLog
from nublado.exceptions import OperationCancelledError, ServiceStoppingError
from nublado.models.domain.failure import Failure
from nublado.models.domain.history import HistoryEntry, HistoryKind, Result
from nublado.services.alerts import Alerts
from nublado.services.history import History
from nublado.services.observed.failure import explain
from nublado.timeout import Cancellation, Timeout

__all__ = ["AnyOperation", "Operation", "OperationKind", "OperationPool"]

T = TypeVar("T")


class OperationKind(StrEnum):
    """What an operation does."""

    SPAWN = "spawn"
    DELETE = "delete"


class Operation(ABC, Generic[T]):
    """One thing that is being done for one user, from its beginning to its end.

    Subclasses say what that is; nobody but the operation changes its fields.

    Parameters
    ----------
    username
        Whose lab or file server it is about.
    alerts
        Receives the failure.
    history
        Keeps what became of it.
    seconds
        How long it may take.
    elapsed
        Seconds of these that an earlier process has used up.
    resumable
        Whether another process could go on with it as it is.

    Attributes
    ----------
    kind
        What it does.
    noted_as
        What its entry in the history is about.
    title
        What it is called in logs and alerts.
    timed_as
        What it is called where it times out.
    epitaph
        Text of the last event of one that fails.
    events
        What happens in it.
    timeout
        Its deadline, and how it is cancelled.
    confidential
        Values that it sends and that nobody may see.
    started
        When it began (seconds since the epoch).
    began
        When a thread began with it (seconds since the epoch); None before.
    request_id
        What all its lines in the log have in common: the id of the request that it
        comes from, if it comes from one.
    """

    kind: ClassVar[OperationKind]
    noted_as: ClassVar[HistoryKind]
    title: ClassVar[str]
    timed_as: ClassVar[str]
    epitaph: ClassVar[str]

    def __init__(
        self,
        username: str,
        *,
        alerts: Alerts,
        history: History,
        seconds: float,
        elapsed: float = 0.0,
        resumable: bool = True,
        request_id: str | None = None,
    ) -> None:
        self.username = username
        self.events = EventLog()
        self.confidential = Confidential()
        self.started = time.time() - elapsed
        self.began: float | None = None
        self.request_id = request_id or _request_id()
        self._cancellation = Cancellation()
        self.timeout = Timeout(
            self.timed_as, seconds, self._cancellation, elapsed=elapsed
        )
        self._alerts = alerts
        self._history = history
        self._resumable = resumable
        self._cancelled = False
        self._abandoned = False
        self._succeeded = False
        self._failure: Failure | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._log = structlog.get_logger(__name__).bind(user=username)

    # --- What it does ----------------------------------------------------

    @abstractmethod
    def perform(self) -> T:
        """Do the work; whatever is raised is its failure."""

    @abstractmethod
    def succeed(self, result: T) -> None:
        """Report the good end, which ``result`` is of."""

    @abstractmethod
    def fail(self, failure: Failure) -> None:
        """Record that it has failed, before its listeners are notified."""

    def give_up(self) -> None:
        """Clean up after a cancellation; by default nothing is done."""

    def explain(self, error: Exception) -> Failure:
        """Explain the error that has ended it."""
        return explain(error)

    def with_facts(self, entry: HistoryEntry) -> HistoryEntry:
        """Add what else is known of it to its entry in the history."""
        return entry

    def run(self) -> None:
        """Run it to its end in this thread; raises nothing."""
        with structlog.contextvars.bound_contextvars(request_id=self.request_id):
            self._run()

    def _run(self) -> None:
        self.began = time.time()
        try:
            with keeping(self.confidential):
                self.succeed(self.perform())
            self._succeeded = True
        except OperationCancelledError:
            if not self._abandoned:
                self.give_up()
        except Exception as e:  # noqa: BLE001
            self._failure = failure = self.explain(e)
            event = f"{self.title} failed"
            self._alerts.report(failure, event=event, user=self.username)
            self.fail(failure)
            self.events.error(failure.text)
            self.events.failed(self.epitaph)
            _release_frames(e)
        finally:
            self._note_end()
            self.end()

    def _note_end(self) -> None:
        """Write the one line that sums it up, and keep it."""
        failure = self._failure
        entry = self.with_facts(
            HistoryEntry(
                kind=self.noted_as,
                username=self.username,
                started=datetime.fromtimestamp(self.started, UTC),
                ended=datetime.now(UTC),
                result=self._result,
                reason=failure.text if failure else None,
                cause=failure.cause.value if failure else None,
                request_id=self.request_id,
                events=self.events.all(),
            )
        )
        self._history.note(entry)
        self._log.info(f"{self.title} ended", **_facts(entry))

    @property
    def _result(self) -> Result:
        if self._succeeded:
            return Result.SUCCEEDED
        if self._failure is not None:
            return Result.FAILED
        return Result.HANDED_OVER if self._abandoned else Result.CANCELLED

    # --- What becomes of it ----------------------------------------------

    @property
    def cancelled(self) -> bool:
        """Whether a deletion has cancelled it."""
        return self._cancelled

    @property
    def abandoned(self) -> bool:
        """Whether it is left to the next process."""
        return self._abandoned

    @property
    def succeeded(self) -> bool:
        """Whether it has come to a good end."""
        return self._succeeded

    @property
    def failure(self) -> Failure | None:
        """Why it has failed; None if it has not."""
        return self._failure

    @property
    def reason(self) -> str:
        """Why it has come to no good end, or to none at all yet."""
        if self._failure is not None:
            return self._failure.text
        return "Operation cancelled" if self._cancelled else "it takes too long"

    def wait(self, seconds: float) -> bool:
        """Wait for its end; False if it takes longer."""
        return self._ended.wait(seconds)

    def check_abandoned(self) -> None:
        """Check that this process brings it to an end.

        Raises
        ------
        ServiceUnavailableError
            Raised if the process stops; the next one goes on with it.
        """
        if self._abandoned:
            raise ServiceStoppingError

    def cancel(self) -> None:
        """Stop it at its next step, and notify its listeners now."""
        self._cancelled = True
        self.events.failed("Operation cancelled")
        self.interrupt()

    def interrupt(self) -> None:
        """Stop it at its next step."""
        self._cancellation.cancel()

    def abandon(self) -> None:
        """Leave it to the next process, as soon as that can resume it.

        Listeners will reconnect.
        """
        with self._lock:
            self._abandoned = True
            resumable = self._resumable
        self.events.close()
        if resumable:
            self.interrupt()

    def mark_resumable(self) -> None:
        """Mark it as resumable by another process from now on."""
        with self._lock:
            self._resumable = True
            abandoned = self._abandoned
        if abandoned:
            self.interrupt()

    def end(self) -> None:
        """Mark it as over, and forget what is confidential."""
        self.confidential = Confidential()
        self._ended.set()


AnyOperation = Operation[Any]


def _request_id() -> str:
    given = structlog.contextvars.get_contextvars().get("request_id")
    return str(given or f"{random.getrandbits(64):016x}")


def _facts(entry: HistoryEntry) -> dict[str, object]:
    """What the log says of an operation that is over."""
    facts = {
        "result": entry.result.value,
        "seconds": entry.total_seconds and round(entry.total_seconds, 3),
        **{f"seconds_{phase}": spent for phase, spent in entry.seconds.items()},
        "cause": entry.cause,
        "image": entry.image,
        "size": entry.size,
        "node": entry.node,
        "bytes_pulled": entry.bytes_pulled,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _release_frames(error: BaseException | None) -> None:
    """Let go of the frames of an exception that is kept: they hold secrets."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


class Gate(Protocol):
    """Holds operations back for a moment."""

    def wait(self, submitted: float) -> None:
        """Wait until an operation may begin.

        Parameters
        ----------
        submitted
            When it was submitted, by the monotonic clock.
        """

    def end(self) -> None:
        """Hold nothing back any more."""


class OperationPool:
    """Threads for operations, which start as they are needed.

    Parameters
    ----------
    name
        Name of the threads.
    size
        How many operations may run at a time; more wait.
    gate
        Holds operations back before they begin.
    """

    def __init__(self, name: str, size: int = 1024, gate: Gate | None = None) -> None:
        self._threads = ThreadPoolExecutor(size, name)
        self._gate = gate
        self._lock = threading.Lock()
        self._closed = False
        self._active: set[AnyOperation] = set()
        self._held: queue.SimpleQueue[tuple[float, AnyOperation] | None] = (
            queue.SimpleQueue()
        )
        self._dispatcher = threading.Thread(
            target=self._dispatch, name=f"{name}-dispatcher", daemon=True
        )
        if gate is not None:
            self._dispatcher.start()

    @property
    def active(self) -> int:
        """How many operations have begun or wait."""
        return len(self._active)

    def submit(self, operation: AnyOperation) -> bool:
        """Run an operation as soon as a thread is free.

        One that comes after the pool was closed is abandoned; False then.
        """
        with self._lock:
            if self._closed:
                operation.abandon()
                operation.end()
                return False
            self._active.add(operation)
            if self._gate is None:
                self._threads.submit(self._run, operation)
            else:
                self._held.put((time.monotonic(), operation))
            return True

    def close(self) -> None:
        """Take no more operations, and abandon those that there are."""
        with self._lock:
            self._closed = True
            active = list(self._active)
        if self._gate is not None:
            self._gate.end()
        for operation in active:
            operation.abandon()

    def stop(self, deadline: float) -> None:
        """Wait for the operations of a closed pool.

        Parameters
        ----------
        deadline
            When to interrupt what is not over, by the monotonic clock.
        """
        with self._lock:
            active = list(self._active)
        for operation in active:
            if not operation.wait(max(0.0, deadline - time.monotonic())):
                structlog.get_logger(__name__).warning(
                    "Operation did not stop in time", user=operation.username
                )
            operation.interrupt()
        if self._gate is not None:
            self._held.put(None)
            self._dispatcher.join()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _dispatch(self) -> None:
        while (held := self._held.get()) is not None:
            submitted, operation = held
            if self._gate is not None:
                self._gate.wait(submitted)
            self._threads.submit(self._run, operation)

    def _run(self, operation: AnyOperation) -> None:
        try:
            operation.run()
        finally:
            with self._lock:
                self._active.discard(operation)
