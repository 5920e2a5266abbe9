"""How many threads are busy with requests."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RequestLoad"]


@dataclass(slots=True)
class RequestLoad:
    """How busy the threads are that answer requests, as the worker says.

    Parameters
    ----------
    limit
        How many threads there are, without those for what comes by the hundred.
    busy
        How many of them have a request.
    """

    limit: int
    busy: int = 0
