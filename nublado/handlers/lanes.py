"""Which threads serve a request: told from its first line, before it is parsed.

There is one interpreter. Threads that want it at the same moment wait for each
other, those with the least to do as long as all others, so what may come by the
hundred is served by few threads, and what is answered from memory by threads of
its own.
"""

from __future__ import annotations

import re
from enum import Enum, auto

__all__ = ["Lane", "lane_of"]


class Lane(Enum):
    """Requests that are served by the same threads.

    Attributes
    ----------
    STATE
        Answered from memory in less than a millisecond.
    SPAWNS
        Creates and event streams: they come with every spawn, and wait for
        Gafaelfawr at most.
    OTHERS
        Everything else, which may wait for Kubernetes.
    """

    STATE = auto()
    SPAWNS = auto()
    OTHERS = auto()


_LANES = (
    (
        Lane.STATE,
        re.compile(
            rb"GET (?:/healthz|/readyz"
            rb"|/(?:[^\s?]*/)?spawner/v1/(?:user-status|labs(?:/[^\s/?]+)?))(?:\?\S*)? "
        ),
    ),
    (Lane.SPAWNS, re.compile(rb"POST /(?:[^\s?]*/)?spawner/v1/labs/[^\s/?]+/create ")),
    (Lane.SPAWNS, re.compile(rb"GET /(?:[^\s?]*/)?spawner/v1/labs/[^\s/?]+/events ")),
)


def lane_of(request: bytes | bytearray) -> Lane:
    """Choose the lane of a request by its first line.

    A wrong choice costs time, nothing else: the application finds the route.
    """
    for lane, pattern in _LANES:
        if pattern.match(request):
            return lane
    return Lane.OTHERS
