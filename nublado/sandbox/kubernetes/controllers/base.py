"""What controllers have in common: a queue of objects to look at."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import ClassVar

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.store import ApiError, Store

__all__ = ["Controller", "Key"]

Key = tuple[str | None, str]
"""Namespace and name of an object."""


class Controller:
    """Looks at objects that have changed, one after another.

    A key that is waiting already is not queued again, so a burst of changes
    of one object is one look at it.

    Parameters
    ----------
    store
        Objects of the cluster.
    """

    kinds: ClassVar[Sequence[str | None]] = ()

    def __init__(self, store: Store) -> None:
        self.store = store
        self._queue: asyncio.Queue[Key] = asyncio.Queue()
        self._queued: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._unsubscribe: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to work."""
        self._unsubscribe = [self.store.subscribe(k, self.changed) for k in self.kinds]
        self._task = asyncio.create_task(self._work(), name=type(self).__name__)

    async def stop(self) -> None:
        """End the work."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        for timer in self._timers.values():
            timer.cancel()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def changed(self, type_: str, obj: JSON) -> None:
        """Take note of a change; by default, look at the object."""
        del type_
        metadata = obj["metadata"]
        self.look_at((metadata.get("namespace"), metadata["name"]))

    def look_at(self, key: Key, after: float = 0.0) -> None:
        """Look at an object soon, or after so many seconds."""
        if after > 0:
            due = asyncio.get_running_loop().call_later(after, self._due, key)
            self._timers[key] = due
        elif key not in self._queued:
            self._queued.add(key)
            self._queue.put_nowait(key)

    def reconcile(self, key: Key) -> None:
        """Do what has to be done about an object."""
        raise NotImplementedError

    def _due(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.look_at(key)

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            self._queued.discard(key)
            try:
                self.reconcile(key)
            except ApiError as e:
                # The object has changed meanwhile, which brings it back here.
                logging.getLogger(__name__).debug("%s: %s", key, e)
            except Exception:
                logging.getLogger(__name__).exception("Cannot reconcile %s", key)
            if self._queue.qsize() % 20 == 0:
                await asyncio.sleep(0)
