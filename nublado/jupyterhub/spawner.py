"""JupyterHub's spawner that has labs spawned by the controller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
from jupyterhub.spawner import Spawner
from tornado import web
from traitlets import Callable, Integer, Unicode, default

from nublado.jupyterhub.controller import (
    Controller,
    ControllerError,
    LabState,
    LabStatus,
    RefusedError,
    UnavailableError,
    make_http_client,
)
from nublado.jupyterhub.progress import ProgressLog
from nublado.jupyterhub.retrying import Pauses
from nublado.jupyterhub.spawning import LabFailedError, LabSpawn, delete_lab

__all__ = ["LabError", "NubladoSpawner"]

_LAB_PORT = 8888
_START_SECONDS = 11 * 60
_STOP_SECONDS = 3 * 60
_FORM_SECONDS = 30
_POLL_SECONDS = 10.0
_TIME_FOR_THE_REASON = 0.95
"""Share of the time to start after which a spawner gives up by itself, and so
can say why; JupyterHub would only say that time is up."""

_ALIVE = frozenset({LabStatus.PENDING, LabStatus.RUNNING, LabStatus.TERMINATING})
_EXIT_CODES = {LabStatus.TERMINATED: 0, LabStatus.FAILED: 1}


class LabError(web.HTTPError):
    """Tells JupyterHub's user why there is no lab.

    Parameters
    ----------
    status
        HTTP status of JupyterHub's page.
    message
        Why, in words for the user.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, "%s", message)
        self.jupyterhub_message = message

    def __str__(self) -> str:
        return self.jupyterhub_message


class NubladoSpawner(Spawner):
    """Has the labs of users spawned by the controller.

    Expects the token of the user in the authentication state, under ``token``,
    as `nublado.jupyterhub.IngressAuthenticator` puts it there.
    """

    controller_url = Unicode(
        help="""
        Where the controller's routes are, without a slash at the end, such as
        https://example.org/nublado. Requests bear tokens, so this is the URL of
        the ingress, not that of the controller's service.
        """
    ).tag(config=True)

    token_file = Unicode(
        "/etc/gafaelfawr/token",
        help="""
        File with JupyterHub's own token, which has the scope admin:jupyterlab.
        It is read for each request, so it may be replaced at any time.
        """,
    ).tag(config=True)

    stop_timeout = Integer(
        _STOP_SECONDS,
        help="""
        For how many seconds the controller is asked to delete a lab, should it
        be unreachable or fail to do so.
        """,
    ).tag(config=True)

    form_timeout = Integer(
        _FORM_SECONDS,
        help="""
        For how many seconds the controller is asked for the spawner form,
        should it be unreachable.
        """,
    ).tag(config=True)

    form_nonce = Callable(
        None,
        allow_none=True,
        help="""
        Tells the nonce in the content security policy of JupyterHub's page with
        the form; called with the handler of the request. Without it, the policy
        has to allow style and script of the form by their hashes.
        """,
    ).tag(config=True)

    _http: httpx.AsyncClient | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._log_of_progress = ProgressLog()
        self._spawn: LabSpawn | None = None

    # --- Settings of JupyterHub's that are different for the controller ---

    @default("ip")
    def _default_ip(self) -> str:
        return "0.0.0.0"  # noqa: S104

    @default("port")
    def _default_port(self) -> int:
        return _LAB_PORT

    @default("start_timeout")
    def _default_start_timeout(self) -> int:
        return _START_SECONDS

    @default("env_keep")
    def _default_env_keep(self) -> list[str]:
        # What is right for JupyterHub's container is not for that of a lab.
        return []

    @default("options_form")
    def _default_options_form(self) -> Any:
        return type(self).lab_form

    @default("apply_user_options")
    def _default_apply_user_options(self) -> Any:
        # Options are for the controller; there is nothing to set here.
        return lambda spawner, options: None  # noqa: ARG005

    # --- What JupyterHub calls --------------------------------------------

    async def lab_form(self) -> str:
        """Form from which the user chooses, as the controller renders it.

        Raises
        ------
        LabError
            Raised if there is none.
        """
        token = await self._user_token()
        pauses = Pauses()
        try:
            async with asyncio.timeout(self.form_timeout):
                while True:
                    try:
                        return await self._controller().lab_form(
                            self.user.name,
                            token,
                            languages=self._languages(),
                            nonce=self._nonce(),
                            last_choice=self.user_options,
                        )
                    except UnavailableError as e:
                        self.log.warning("Form for %s: %s", self.user.name, e)
                        await pauses.take(e.retry_after)
        except TimeoutError as e:
            message = "The lab controller does not answer. Try again in a minute."
            raise LabError(503, message) from e
        except RefusedError as e:
            raise LabError(e.status, str(e)) from e

    async def start(self) -> str:
        """Have a lab spawned; returns its internal URL once its pod runs.

        Raises
        ------
        LabError
            Raised if there may be no such lab, or if it does not start in time.
        """
        if self.name:
            raise LabError(400, "There can only be one lab for each user.")
        if self._log_of_progress.closed:
            self._log_of_progress = ProgressLog()
        try:
            token = await self._user_token()
            self._spawn = self._new_spawn(token)
            async with asyncio.timeout(self.start_timeout * _TIME_FOR_THE_REASON):
                url = await self._spawn.run(self.user_options, self._lab_env())
        except TimeoutError as e:
            raise LabError(504, self._why_it_took_too_long()) from e
        except RefusedError as e:
            raise LabError(e.status, str(e)) from e
        except LabFailedError as e:
            raise LabError(500, str(e)) from e
        else:
            self._log_of_progress.add("Waiting for JupyterLab to answer")
            return url
        finally:
            self._log_of_progress.close()

    async def stop(self, now: bool = False) -> None:  # noqa: ARG002
        """Have the lab deleted, also one that is being spawned.

        Raises
        ------
        LabError
            Raised if it is not gone in time.
        """
        try:
            async with asyncio.timeout(self.stop_timeout):
                if self._spawn is not None:
                    await self._spawn.requested()
                await delete_lab(self._controller(), self.user.name)
        except TimeoutError as e:
            raise LabError(504, "The lab could not be deleted in time.") from e
        except RefusedError as e:
            raise LabError(500, str(e)) from e

    async def poll(self) -> int | None:
        """Whether there is a lab.

        Returns
        -------
        int or None
            None if it is there, or if the controller cannot tell; otherwise 0,
            or 1 if it has failed.
        """
        if self._spawn is not None and self._spawn.is_being_requested:
            return None
        try:
            lab = await self._lab_state()
        except UnavailableError:
            return None
        if lab is None:
            return 0
        return None if lab.status in _ALIVE else _EXIT_CODES[lab.status]

    async def progress(self) -> AsyncIterator[dict[str, str | int]]:
        """Steps of the spawn as they happen, for JupyterHub's page."""
        async for step in self._log_of_progress.follow():
            yield step

    async def get_url(self) -> str:
        """Where the lab is; JupyterHub asks after a restart.

        Waits for a lab that is being spawned, as JupyterHub would otherwise take
        it for one that does not answer.
        """
        known: str = self.server.url
        try:
            lab = await self._lab_state()
            if lab is None or lab.status is not LabStatus.PENDING:
                return (lab and lab.internal_url) or known
            spawn = self._new_spawn(await self._user_token())
            async with asyncio.timeout(self.start_timeout):
                return await spawn.follow() or known
        except (ControllerError, LabFailedError, LabError, TimeoutError) as e:
            self.log.warning("URL of the lab of %s: %s", self.user.name, e)
            return known

    # --- Details ----------------------------------------------------------

    async def _lab_state(self) -> LabState | None:
        """Ask once what the lab does.

        Raises
        ------
        UnavailableError
            Raised if the controller cannot tell, whatever the reason.
        """
        try:
            async with asyncio.timeout(_POLL_SECONDS):
                return await self._controller().state(self.user.name)
        except (ControllerError, LabError, TimeoutError) as e:
            reason = str(e) or "no answer in time"
            self.log.warning("State of the lab of %s: %s", self.user.name, reason)
            raise UnavailableError(reason) from e

    def _languages(self) -> str | None:
        """Languages of whoever looks at JupyterHub's page."""
        if self.handler is None:
            return None
        languages = self.handler.request.headers.get("Accept-Language")
        return str(languages) if languages else None

    def _nonce(self) -> str | None:
        """Nonce of JupyterHub's page, if it has one."""
        if self.form_nonce is None or self.handler is None:
            return None
        nonce = self.form_nonce(self.handler)
        return str(nonce) if nonce else None

    def _new_spawn(self, token: str) -> LabSpawn:
        return LabSpawn(
            self._controller(),
            self.user.name,
            token,
            self._log_of_progress,
            self.log,
        )

    def _controller(self) -> Controller:
        if not self.controller_url:
            raise LabError(500, "c.NubladoSpawner.controller_url is not set.")
        if NubladoSpawner._http is None:
            NubladoSpawner._http = make_http_client()
        return Controller(self.controller_url, self._hub_token, NubladoSpawner._http)

    def _hub_token(self) -> str:
        try:
            return Path(self.token_file).read_text().strip()
        except OSError as e:
            raise RefusedError(500, f"JupyterHub's token cannot be read: {e}") from e

    async def _user_token(self) -> str:
        state = await self.user.get_auth_state()
        token = (state or {}).get("token")
        if not token:
            message = "JupyterHub has no token of yours. Log out, and log in again."
            raise LabError(403, message)
        return str(token)

    def _lab_env(self) -> dict[str, str]:
        env = self.get_env()
        return {name: str(value) for name, value in env.items() if value is not None}

    def _why_it_took_too_long(self) -> str:
        seconds = self.start_timeout
        last = self._log_of_progress.last
        return f"The lab has not started within {seconds} seconds. Last step: {last}"
