"""Operations: a spawn or a deletion, running in a thread of its own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

from nublado.events import EventLog
from nublado.exceptions import ServiceUnavailableError
from nublado.services.lab.surge import Surge
from nublado.timeout import Cancellation

__all__ = ["Operation", "OperationKind", "OperationPools"]


class OperationKind(StrEnum):
    """What an operation does to a lab."""

    SPAWN = "spawn"
    DELETE = "delete"


class Operation:
    """Something that is being done to the lab of one user.

    Parameters
    ----------
    kind
        What is done.
    username
        Whose lab it is.
    resumable
        Whether another process could go on with it as it is.

    Attributes
    ----------
    events
        What happens in it.
    started
        When it began (seconds since the epoch).
    succeeded
        Whether it has come to a good end.
    cancelled
        Whether a deletion was asked for meanwhile.
    abandoned
        Whether it is left to the next process.
    cancels
        For a deletion: whether it cut off a spawn.
    lab_path
        Where the user finds the lab on the platform; None where unknown.
    """

    def __init__(
        self, kind: OperationKind, username: str, *, resumable: bool = True
    ) -> None:
        self.kind = kind
        self.username = username
        self.events = EventLog()
        self.cancellation = Cancellation()
        self.started = time.time()
        self.succeeded = False
        self.cancelled = False
        self.abandoned = False
        self.cancels = False
        self.lab_path: str | None = None
        self._resumable = resumable
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def cancel(self) -> None:
        """Stop it at its next step, and tell its listeners now."""
        self.cancelled = True
        self.events.failed("Operation cancelled")
        self.cancellation.cancel()

    def abandon(self) -> None:
        """Leave it to the next process, as soon as that can go on with it.

        Listeners will reconnect.
        """
        with self._lock:
            self.abandoned = True
            resumable = self._resumable
        self.events.close()
        if resumable:
            self.cancellation.cancel()

    def mark_resumable(self) -> None:
        """Note that another process could go on with it from now on."""
        with self._lock:
            self._resumable = True
            abandoned = self.abandoned
        if abandoned:
            self.cancellation.cancel()

    def end(self) -> None:
        """Note that it is over."""
        self._ended.set()

    def wait(self, seconds: float) -> bool:
        """Wait for its end; False if it takes longer."""
        return self._ended.wait(seconds)


class OperationPools:
    """Threads for operations.

    Deletions have a pool of their own, so that waiting spawns cannot starve
    them. Spawns begin only after a surge of requests has been answered.

    Parameters
    ----------
    size
        How many operations of one kind may run at a time; more wait.
    """

    def __init__(self, size: int = 1024) -> None:
        self._pools = {
            kind: ThreadPoolExecutor(size, kind.value) for kind in OperationKind
        }
        self._surge = Surge()
        self._lock = threading.Lock()
        self._closed = False
        self._spawns: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._dispatcher = threading.Thread(
            target=self._dispatch, name="spawn-dispatcher", daemon=True
        )
        self._dispatcher.start()

    def submit(self, operation: Operation, work: Callable[[], None]) -> None:
        """Run an operation as soon as a thread is free.

        Raises
        ------
        ServiceUnavailableError
            Raised if no more operations are run.
        """
        with self._lock:
            if self._closed:
                raise ServiceUnavailableError("Service is stopping, try again")
            if operation.kind is OperationKind.SPAWN:
                self._surge.note()
                self._spawns.put(work)
            else:
                self._pools[operation.kind].submit(work)

    def close(self) -> None:
        """Take no more operations, and begin with those that wait."""
        with self._lock:
            self._closed = True
        self._surge.end()

    def stop(self) -> None:
        """Wait for running operations, which must have been told to stop."""
        self._spawns.put(None)
        self._dispatcher.join()
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)

    def _dispatch(self) -> None:
        while (work := self._spawns.get()) is not None:
            self._surge.wait()
            self._pools[OperationKind.SPAWN].submit(work)
