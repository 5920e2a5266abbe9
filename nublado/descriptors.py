"""How many files and sockets the process may have open, and who may use them."""

from __future__ import annotations

import resource

__all__ = ["most_connections", "most_streams", "raise_descriptor_limit"]

_MOST = 65_536
_MOST_STREAMS = 20_000
_MOST_CONNECTIONS = 20_000


def raise_descriptor_limit() -> int:
    """Let the process open as many files as it may; tell how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    allowed = max(soft, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


def most_streams(descriptors: int) -> int:
    """How many event streams there may be."""
    return min(_MOST_STREAMS, descriptors // 2)


def most_connections(descriptors: int) -> int:
    """How many connections there may be besides event streams.

    A quarter of the descriptors is left for everything else.
    """
    return min(_MOST_CONNECTIONS, descriptors // 4)
