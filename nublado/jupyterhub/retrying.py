"""How long to wait before asking again what could not be answered."""

from __future__ import annotations

import asyncio
import random

__all__ = ["Pauses"]

_SHORTEST_SECONDS = 0.2
_LONGEST_SECONDS = 5.0
_JITTER = 0.5


class Pauses:
    """Pauses that grow from one failure to the next.

    There is no last one: whoever waits has a deadline.
    """

    def __init__(self) -> None:
        self._next = _SHORTEST_SECONDS

    def start_over(self) -> None:
        """Begin with the shortest again, since something has worked."""
        self._next = _SHORTEST_SECONDS

    async def take(self, at_least: float = 0.0) -> None:
        """Wait for a while.

        Parameters
        ----------
        at_least
            How long at least (seconds), where the other side has asked for it.
        """
        jitter = 1.0 + random.uniform(0.0, _JITTER)  # noqa: S311
        await asyncio.sleep(max(self._next, at_least) * jitter)
        self._next = min(2 * self._next, _LONGEST_SECONDS)
