"""Whether a refusal for want of permission may pass.

For about a second after an API server has begun to listen it does not know any
role yet, and refuses everything with a 403 like any other.

References
----------
https://kubernetes.io/docs/reference/access-authn-authz/rbac/
https://github.com/kubernetes/kubernetes/issues/121635
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Right", "Rights"]

_GRACE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Right:
    """What is permitted or not.

    Parameters
    ----------
    verb
        Verb of RBAC, such as ``create``.
    kind
        Kind of the objects.
    cluster_wide
        Whether it is about all namespaces, or about objects of the cluster.
    """

    verb: str
    kind: str
    cluster_wide: bool


@dataclass(slots=True)
class _Refusals:
    """Refusals of one right without a grant between them."""

    first: float
    last: float


class Rights:
    """Remembers what was granted and refused; safe for use by all threads.

    A refusal may pass for 30 s if the right was granted before, or if the
    server has lately been away or refused what it had granted.

    Parameters
    ----------
    clock
        Returns the time (seconds).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._granted: set[Right] = set()
        self._refused: dict[Right, _Refusals] = {}
        self._unsettled = -math.inf

    def note_granted(self, right: Right) -> None:
        """Note that the server has granted a right."""
        with self._lock:
            self._granted.add(right)
            self._refused.pop(right, None)

    def note_unreachable(self) -> None:
        """Note that the server could not be reached."""
        with self._lock:
            self._unsettled = self._clock()

    def note_refused(self, right: Right) -> bool:
        """Note that the server has refused a right; True if that may pass."""
        now = self._clock()
        with self._lock:
            refusals = self._refused.get(right)
            if refusals is None or now - refusals.last > _GRACE_SECONDS:
                refusals = self._refused[right] = _Refusals(now, now)
            refusals.last = now
            if now - refusals.first > _GRACE_SECONDS:
                return False
            if right in self._granted:
                self._unsettled = now
                return True
            return now - self._unsettled < _GRACE_SECONDS
