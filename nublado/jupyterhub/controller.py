"""Client of the controller's REST API, as far as JupyterHub calls it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

import httpx
from httpx_sse import ServerSentEvent, SSEError, aconnect_sse

__all__ = [
    "Controller",
    "ControllerError",
    "LabEvent",
    "LabState",
    "LabStatus",
    "RefusedError",
    "UnavailableError",
    "make_http_client",
]

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 60.0
"""More than the controller ever holds a request, or is silent on a stream."""

_IDLE_CONNECTIONS = 20
_MAINTENANCE = "maintenance"
"""Type of the error when operators let no labs be started."""

_CHOSEN_AGAIN = ("image_list", "image_dropdown", "size", "enable_debug")
_OUTAGES = frozenset({429, 500, 502, 503, 504})
_LOGIN_EXPIRED = "Your login has expired. Log out, log in again, and start your server."


class ControllerError(Exception):
    """The controller has not done what it was asked for."""


class UnavailableError(ControllerError):
    """The controller cannot answer now; the same request may work later.

    Parameters
    ----------
    reason
        What has happened.
    retry_after
        After how many seconds it wants to be asked again, if it said so.
    """

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class RefusedError(ControllerError):
    """The controller refuses, and would do so again.

    Parameters
    ----------
    status
        HTTP status of the answer.
    message
        Why, in words for the user.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class LabStatus(StrEnum):
    """What a lab is doing."""

    PENDING = "pending"
    RUNNING = "running"
    TERMINATING = "terminating"
    TERMINATED = "terminated"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class LabState:
    """State of a lab.

    Parameters
    ----------
    status
        What it is doing.
    internal_url
        Where JupyterHub and its proxy reach it; None while there is no such place.
    """

    status: LabStatus
    internal_url: str | None


@dataclass(frozen=True, slots=True)
class LabEvent:
    """One event of a spawn or deletion.

    Parameters
    ----------
    id
        By which a broken stream is resumed.
    kind
        ``info``, ``error``, ``complete`` or ``failed``.
    message
        Text for the user.
    progress
        Estimated share that is done, in percent; None if unknown.
    """

    id: str
    kind: str
    message: str
    progress: int | None


def make_http_client() -> httpx.AsyncClient:
    """Make the connections to the controller that all spawners share."""
    # A lab that starts keeps a connection for its events, so a bound on
    # connections would be a bound on spawns.
    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=_IDLE_CONNECTIONS
    )
    timeout = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
    return httpx.AsyncClient(limits=limits, timeout=timeout)


class Controller:
    """Asks the controller on behalf of users and of JupyterHub itself.

    Every method raises `UnavailableError` where asking again may help, and
    `RefusedError` where it does not.

    Parameters
    ----------
    url
        Where the controller's routes are, without a slash at the end.
    hub_token
        Reads JupyterHub's own token.
    http
        Connections.
    """

    def __init__(
        self, url: str, hub_token: Callable[[], str], http: httpx.AsyncClient
    ) -> None:
        self._base = f"{url.rstrip('/')}/spawner/v1"
        self._hub_token = hub_token
        self._http = http

    async def lab_form(
        self,
        username: str,
        token: str,
        *,
        languages: str | None = None,
        nonce: str | None = None,
        last_choice: Mapping[str, Any] | None = None,
    ) -> str:
        """Form from which a user chooses a lab, as HTML.

        Parameters
        ----------
        username, token
            The user.
        languages
            Languages that they read, as their browser says it.
        nonce
            Nonce of the page that the form is for, if it has one.
        last_choice
            What the user has chosen last, as the form sent it.
        """
        path = f"lab-form/{quote(username, safe='')}"
        given = {"Accept-Language": languages, "X-CSP-Nonce": nonce}
        headers = {name: value for name, value in given.items() if value}
        answer = await self._ask(
            "GET", path, token, headers=headers, query=_choice(last_choice or {})
        )
        _expect(answer, httpx.codes.OK)
        return str(answer.text)

    async def create(
        self,
        username: str,
        token: str,
        options: Mapping[str, Any],
        env: Mapping[str, str],
    ) -> None:
        """Begin to spawn a lab.

        Parameters
        ----------
        username, token
            The user.
        options
            What the user has chosen, as the form sent it.
        env
            What JupyterHub wants in the environment of the lab.
        """
        body = {"options": options, "env": env}
        answer = await self._ask("POST", f"{_lab(username)}/create", token, body)
        _expect(answer, httpx.codes.CREATED)

    async def state(self, username: str) -> LabState | None:
        """State of a user's lab; None if there is none."""
        answer = await self._ask("GET", _lab(username), self._hub_token())
        if answer.status_code == httpx.codes.NOT_FOUND and _is_unknown_user(answer):
            return None
        _expect(answer, httpx.codes.OK)
        try:
            state = answer.json()
            return LabState(LabStatus(state["status"]), state["internal_url"])
        except (ValueError, KeyError, TypeError) as e:
            raise UnavailableError("not the state of a lab was answered") from e

    async def delete(self, username: str) -> None:
        """Delete a user's lab, if there is one; returns once it is gone."""
        answer = await self._ask("DELETE", _lab(username), self._hub_token())
        if answer.status_code == httpx.codes.NOT_FOUND and _is_unknown_user(answer):
            return
        if answer.status_code == httpx.codes.CONFLICT:
            raise UnavailableError(_message(answer))
        _expect(answer, httpx.codes.NO_CONTENT)

    async def events(
        self, username: str, token: str, last_id: str | None
    ) -> AsyncIterator[LabEvent]:
        """Events of what is being done with a user's lab, as they happen.

        Ends with the stream, whether or not the operation is over.

        Parameters
        ----------
        username, token
            The user.
        last_id
            Last event that has arrived, if any has.
        """
        headers = _authorization(token)
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        url = f"{self._base}/{_lab(username)}/events"
        with _outages():
            async with aconnect_sse(self._http, "GET", url, headers=headers) as source:
                answer = source.response
                if answer.status_code == httpx.codes.NO_CONTENT:
                    return
                if answer.status_code != httpx.codes.OK:
                    await answer.aread()
                _expect(answer, httpx.codes.OK)
                async for event in source.aiter_sse():
                    if event.data:
                        yield _decode(event)

    async def _ask(
        self,
        method: str,
        path: str,
        token: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        with _outages():
            return await self._http.request(
                method,
                f"{self._base}/{path}",
                headers={**_authorization(token), **(headers or {})},
                params=query,
                json=body,
            )


@contextmanager
def _outages() -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, SSEError) as e:
        reason = str(e) or type(e).__name__
        raise UnavailableError(f"the lab controller cannot be reached: {reason}") from e


_MOST_CHOSEN = 512
"""Longest value of the form; what JupyterHub remembers may come from elsewhere."""


def _choice(options: Mapping[str, Any]) -> dict[str, str]:
    """Take what the form can choose again; each is one text, alone or in a list."""
    values = {}
    for name in _CHOSEN_AGAIN:
        given = options.get(name)
        if isinstance(given, list) and len(given) == 1:
            (given,) = given
        values[name] = given
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, str) and len(value) <= _MOST_CHOSEN
    }


def _authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _lab(username: str) -> str:
    return f"labs/{quote(username, safe='')}"


def _decode(event: ServerSentEvent) -> LabEvent:
    try:
        data = json.loads(event.data)
        return LabEvent(event.id, event.event, data["message"], data.get("progress"))
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise UnavailableError("something else than events was answered") from e


def _expect(answer: httpx.Response, status: int) -> None:
    """Raise the error that an answer of another status stands for."""
    code = answer.status_code
    if code == status:
        return
    if any(problem.get("type") == _MAINTENANCE for problem in _problems(answer)):
        raise RefusedError(code, _message(answer))
    if code in _OUTAGES:
        raise UnavailableError(_message(answer), _retry_after(answer))
    if code == httpx.codes.UNAUTHORIZED:
        raise RefusedError(code, _LOGIN_EXPIRED)
    raise RefusedError(code, _message(answer))


def _is_unknown_user(answer: httpx.Response) -> bool:
    """Whether the controller says so, rather than something on the way to it."""
    return any(problem.get("type") == "unknown_user" for problem in _problems(answer))


def _problems(answer: httpx.Response) -> list[dict[str, Any]]:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return []
    if not isinstance(detail, list):
        return []
    return [problem for problem in detail if isinstance(problem, dict)]


def _message(answer: httpx.Response) -> str:
    texts = [str(problem["msg"]) for problem in _problems(answer) if "msg" in problem]
    return "; ".join(texts) or f"the lab controller answered {answer.status_code}"


def _retry_after(answer: httpx.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0
