"""Reads that everybody shares who wants the same object at the same moment."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from nublado.models.domain.kubernetes import JSON
from nublado.storage.kubernetes.cluster import Cluster
from nublado.storage.kubernetes.resource import ObjectRef
from nublado.timeout import Timeout

__all__ = ["SharedReads"]


class SharedReads:
    """Reads each object once for all who ask while it is being read.

    Nothing is kept: who asks later gets it as it is then.

    Parameters
    ----------
    cluster
        Where the objects are.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._current: dict[ObjectRef, Future[JSON | None]] = {}

    def read(self, ref: ObjectRef, timeout: Timeout) -> JSON | None:
        """Read an object, which must not be changed; None if it does not exist.

        Raises
        ------
        KubernetesError
            Raised if it cannot be read.
        OperationCancelledError, OperationTimeoutError
            Raised if the operation was cancelled or its time is up.
        """
        mine: Future[JSON | None] = Future()
        with self._lock:
            reading = self._current.setdefault(ref, mine)
        if reading is mine:
            return self._read(ref, timeout, mine)
        ended = threading.Event()
        reading.add_done_callback(lambda _: ended.set())
        with timeout.cancellation.waking(ended.set):
            ended.wait(timeout.left())
        timeout.left()
        if reading.exception() is None:
            return reading.result()
        # Whoever read it may have been cancelled, or out of time.
        return self._cluster.read(ref, timeout)

    def _read(
        self, ref: ObjectRef, timeout: Timeout, mine: Future[JSON | None]
    ) -> JSON | None:
        try:
            found = self._cluster.read(ref, timeout)
        except BaseException as e:
            mine.set_exception(e)
            raise
        else:
            mine.set_result(found)
            return found
        finally:
            with self._lock:
                del self._current[ref]
