"""What JupyterHub's page shows while a lab is spawned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

__all__ = ["ProgressLog"]


class ProgressLog:
    """Steps of one spawn, told to any number of listeners as they happen.

    A listener that comes late is told everything from the start, and the
    percentage never goes back, also where the controller begins anew.
    """

    def __init__(self) -> None:
        self._steps: list[dict[str, str | int]] = []
        self._percent = 0
        self._changed = asyncio.Event()
        self.closed = False

    @property
    def last(self) -> str:
        """Text of the newest step."""
        return str(self._steps[-1]["message"]) if self._steps else "none"

    def add(self, message: str, percent: int | None = None) -> None:
        """Tell of a step.

        Parameters
        ----------
        message
            Text for the user.
        percent
            Estimated share that is done; as before if None.
        """
        self._percent = max(self._percent, percent or 0)
        self._steps.append({"message": message, "progress": self._percent})
        self._wake()

    def close(self) -> None:
        """Tell listeners that there is no more to come."""
        self.closed = True
        self._wake()

    async def follow(self) -> AsyncIterator[dict[str, str | int]]:
        """Steps from the first on, until the log is closed."""
        position = 0
        while True:
            changed = self._changed
            while position < len(self._steps):
                yield self._steps[position].copy()
                position += 1
            if self.closed:
                return
            await changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
