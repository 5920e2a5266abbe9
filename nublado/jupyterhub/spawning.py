"""One spawn, from the request for a lab to its end, whatever happens in between.

Events are shown and nothing more. What is true is asked for: a stream may
break, and the controller may die and begin anew.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from logging import Logger
from typing import Any

from nublado.jupyterhub.controller import (
    Controller,
    LabEvent,
    LabState,
    LabStatus,
    RefusedError,
    UnavailableError,
)
from nublado.jupyterhub.progress import ProgressLog
from nublado.jupyterhub.retrying import Pauses

__all__ = ["LabFailedError", "LabSpawn", "delete_lab"]

_OVER = frozenset({"complete", "failed"})
_NOT_FOUND = 404
_CONFLICT = 409
_STARTED_PERCENT = 90
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}")
"""What tells users nothing, and is too long a word for JupyterHub's page."""


class LabFailedError(Exception):
    """The lab has not started; the message says why, in words for the user."""


class LabSpawn:
    """Spawns the lab of a user.

    Its methods wait as long as they are let: whoever calls them has a deadline.

    Parameters
    ----------
    controller
        Where to ask.
    username, token
        The user.
    progress
        Is told what happens, for the user.
    log
        Is told of outages, for operators.
    """

    def __init__(
        self,
        controller: Controller,
        username: str,
        token: str,
        progress: ProgressLog,
        log: Logger,
    ) -> None:
        self._controller = controller
        self._username = username
        self._token = token
        self._progress = progress
        self._log = log
        self._pauses = Pauses()
        self._outage = False
        self._creation: asyncio.Task[None] | None = None
        self._last_id: str | None = None
        self._interrupted = False
        self._over = False
        self._reason: str | None = None

    @property
    def is_being_requested(self) -> bool:
        """Whether a request is on its way that may make a lab."""
        return self._creation is not None and not self._creation.done()

    async def requested(self) -> None:
        """Wait until no request is on its way that may make a lab."""
        if self._creation is not None:
            await asyncio.wait([self._creation])

    async def run(self, options: Mapping[str, Any], env: Mapping[str, str]) -> str:
        """Spawn the lab; returns its internal URL.

        Parameters
        ----------
        options
            What the user has chosen.
        env
            What JupyterHub wants in the environment of the lab.

        Raises
        ------
        LabFailedError
            Raised if the lab does not start.
        RefusedError
            Raised if there may be no such lab.
        """
        while True:
            await self._create(options, env)
            url = await self.follow()
            if url is not None:
                return url
            self._progress.add("The lab controller was interrupted; asking once more")

    async def follow(self) -> str | None:
        """Follow the lab until it runs.

        Returns
        -------
        str or None
            Internal URL of the lab; None if it is gone or has failed because
            the controller was interrupted, so that another one may do better.

        Raises
        ------
        LabFailedError
            Raised if the lab has failed.
        """
        while True:
            await self._listen()
            lab = await self._state()
            if lab is None or lab.status in {LabStatus.FAILED, LabStatus.TERMINATED}:
                self._give_up_unless_interrupted()
                return None
            if lab.status is LabStatus.RUNNING and lab.internal_url:
                return lab.internal_url
            await self._pauses.take()

    def _give_up_unless_interrupted(self) -> None:
        if not self._interrupted:
            raise LabFailedError(self._reason or "The lab has gone before it ran")
        self._interrupted = False

    async def _create(self, options: Mapping[str, Any], env: Mapping[str, str]) -> None:
        self._last_id = self._reason = None
        self._over = False
        while True:
            try:
                await self._request(options, env)
            except RefusedError as e:
                if e.status != _CONFLICT:
                    raise
                # JupyterHub has no key to a lab that it did not ask for just now.
                self._progress.add("Removing your earlier lab")
                await delete_lab(self._controller, self._username)
            except UnavailableError as e:
                self._report_outage(e)
                await self._pauses.take(e.retry_after)
            else:
                self._works()
                return

    async def _request(
        self, options: Mapping[str, Any], env: Mapping[str, str]
    ) -> None:
        """Ask for the lab, so that being cancelled does not leave it half asked."""
        self._creation = asyncio.ensure_future(
            self._controller.create(self._username, self._token, options, env)
        )
        self._creation.add_done_callback(_retrieve)
        await asyncio.shield(self._creation)

    async def _listen(self) -> None:
        """Show events until their stream ends, for whatever reason."""
        try:
            async for event in self._controller.events(
                self._username, self._token, self._last_id
            ):
                self._show(event)
        except UnavailableError as e:
            self._report_outage(e)
        except RefusedError as e:
            if e.status != _NOT_FOUND:
                raise
        if not self._over:
            self._interrupted = True

    def _show(self, event: LabEvent) -> None:
        self._works()
        self._last_id = event.id
        self._over = event.kind in _OVER
        if event.kind == "error" or (event.kind == "failed" and not self._reason):
            self._reason = event.message
        percent = _STARTED_PERCENT if event.kind == "complete" else event.progress
        self._progress.add(_DIGEST.sub("", event.message), percent)

    async def _state(self) -> LabState | None:
        while True:
            try:
                return await self._controller.state(self._username)
            except UnavailableError as e:
                self._report_outage(e)
                await self._pauses.take(e.retry_after)

    def _report_outage(self, error: UnavailableError) -> None:
        self._log.warning("Spawning the lab of %s: %s", self._username, error)
        if not self._outage:
            self._progress.add("Waiting for the lab controller")
        self._outage = True

    def _works(self) -> None:
        self._outage = False
        self._pauses.start_over()


def _retrieve(task: asyncio.Task[None]) -> None:
    """Take note of an error that nobody waits for any more."""
    if not task.cancelled():
        task.exception()


async def delete_lab(controller: Controller, username: str) -> None:
    """Delete the lab of a user, asking until it is gone.

    Waits as long as it is let: whoever calls it has a deadline.

    Parameters
    ----------
    controller
        Where to ask.
    username
        Whose lab it is.

    Raises
    ------
    RefusedError
        Raised if JupyterHub may not do that.
    """
    pauses = Pauses()
    while True:
        try:
            await controller.delete(username)
        except UnavailableError as e:
            await pauses.take(e.retry_after)
        else:
            return
