"""Outages of the API server, as clients live through them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from nublado.sandbox.checks import check_range
from nublado.sandbox.kubernetes.errors import ApiError
from nublado.sandbox.kubernetes.server import ApiServer
from nublado.sandbox.kubernetes.store import Backup, Store
from nublado.sandbox.listener import Listener

__all__ = ["ApiServerOutage", "Restart"]

_MOST_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Restart:
    """How the API server is restarted; all times are seconds.

    Parameters
    ----------
    away
        How long connections are refused.
    forbidden
        How long everybody is then refused with 403, until the roles are
        known.
    expire
        Whether versions from before are too old for watches then (410).
    bookmark_delay
        How long watches then have no bookmarks.
    """

    away: float = 2.0
    forbidden: float = 1.0
    expire: bool = True
    bookmark_delay: float = 10.0

    def __post_init__(self) -> None:
        for name in ("away", "forbidden", "bookmark_delay"):
            check_range(name, getattr(self, name), 0, _MOST_SECONDS)


class ApiServerOutage:
    """Takes the API server away and brings it back.

    Parameters
    ----------
    listener
        Where it listens.
    api
        The server.
    store
        Its objects.
    """

    def __init__(self, listener: Listener, api: ApiServer, store: Store) -> None:
        self._listener = listener
        self._api = api
        self._store = store
        self._task: asyncio.Task[None] | None = None

    @property
    def is_away(self) -> bool:
        """Whether the server is away."""
        return self._task is not None and not self._task.done()

    def restart(self, how: Restart, backup: Backup | None = None) -> None:
        """Restart the server; returns as soon as that has begun.

        Parameters
        ----------
        how
            What clients notice.
        backup
            State that the cluster is restored to meanwhile, with its version.

        Raises
        ------
        ApiError
            Raised if it is away already (409).
        """
        if self.is_away:
            raise ApiError(409, "Conflict", "the API server is away already")
        self._task = asyncio.create_task(self._restart(how, backup))

    async def stop(self) -> None:
        """End what is going on."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _restart(self, how: Restart, backup: Backup | None) -> None:
        self._api.watches.drop_all()
        await self._listener.close()
        await asyncio.sleep(how.away)
        if backup is not None:
            self._store.restore(backup)
        elif how.expire:
            self._store.compact()
        self._api.access.forget_roles(how.forbidden)
        self._api.watches.delay_bookmarks(how.bookmark_delay)
        await self._listener.open()
