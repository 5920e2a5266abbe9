"""A running service, as the subcommands for operators reach it."""

from __future__ import annotations

import getpass
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import click
import requests

from nublado import __version__
from nublado.cli.output import EXISTING_FILE, fail
from nublado.constants import PATH_PREFIX
from nublado.models.domain.kubernetes import JSON

__all__ = ["RunningService", "service_options"]

Command = TypeVar("Command", bound=Callable[..., Any])

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 300.0
"""More than the service waits for the end of a lab."""

_FORWARD_SECONDS = 30.0
_FORWARDED = re.compile(r"^Forwarding from (127\.0\.0\.1:[0-9]+) -> ", re.MULTILINE)
_SERVICE_PORT = 8080
_REMEDY = "put a token with the scope exec:admin into NUBLADO_TOKEN or --token-file"
_NOWHERE = (
    "Name the service: --url (or NUBLADO_URL) with a token, or --port-forward"
    " NAMESPACE/DEPLOYMENT to reach it through kubectl."
)


@dataclass(frozen=True, slots=True)
class _Place:
    """How to reach the service."""

    url: str | None
    token: str | None
    forward: str | None
    context: str | None
    prefix: str


class RunningService:
    """Sends requests to the routes for operators; exits with 1 if one fails.

    Parameters
    ----------
    url
        Where its routes are.
    headers
        Who is asking.
    """

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.headers.update(
            {"User-Agent": f"nublado/{__version__}", "Accept": "application/json"}
        )
        self._session.headers.update(headers)
        self._session.verify = os.environ.get("SSL_CERT_FILE") or True

    def get(self, path: str) -> JSON:
        """Read JSON."""
        shown: JSON = self._send("GET", path).json()
        return shown

    def put(self, path: str, body: JSON) -> JSON:
        """Set something, and return it as it is then."""
        shown: JSON = self._send("PUT", path, body).json()
        return shown

    def begin(self, path: str) -> None:
        """Have something begun."""
        self._send("PUT", path)

    def delete(self, *path: str) -> None:
        """Delete or end something; returns once it is gone."""
        self._send("DELETE", "/".join(quote(part, safe="") for part in path))

    def get_of(self, path: str, username: str) -> JSON:
        """Read JSON about a user."""
        return self.get(f"{path}/{quote(username, safe='')}")

    def _send(
        self, method: str, path: str, body: JSON | None = None
    ) -> requests.Response:
        url = f"{self._url}/admin/v1/{path}"
        try:
            response = self._session.request(
                method,
                url,
                json=body,
                timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                allow_redirects=False,
            )
        except requests.RequestException as e:
            fail(f"{self._url} cannot be reached: {_reason(e)}")
        if not response.ok or response.is_redirect or not _is_json(response):
            fail(_explain(response))
        return response


def service_options(command: Command) -> Command:
    """Give a command the options that name a service.

    The command is called with a `RunningService` as ``service``.
    """

    @wraps(command)
    def run(
        url: str | None,
        token_file: Path | None,
        port_forward: str | None,
        context: str | None,
        prefix: str,
        **arguments: Any,
    ) -> Any:
        token = _read_token(token_file)
        place = _Place(url, token, port_forward, context, prefix)
        with _reached(place) as service:
            return command(service=service, **arguments)

    options = (
        click.option(
            "--url",
            envvar="NUBLADO_URL",
            metavar="URL",
            help="Where the service is, such as https://data.example.org/nublado."
            " [NUBLADO_URL]",
        ),
        click.option(
            "--token-file",
            type=EXISTING_FILE,
            help="File with a token that has the scope exec:admin; else the variable"
            " NUBLADO_TOKEN.",
        ),
        click.option(
            "--port-forward",
            metavar="NAMESPACE/DEPLOYMENT",
            help="Reach the service through kubectl instead, past the ingress.",
        ),
        click.option("--context", help="Context of kubectl."),
        click.option(
            "--prefix",
            default=PATH_PREFIX,
            show_default=True,
            help="Path of the routes, with --port-forward.",
        ),
    )
    decorated: Callable[..., Any] = run
    for option in reversed(options):
        decorated = option(decorated)
    return decorated  # type: ignore[return-value]


def _read_token(file: Path | None) -> str | None:
    token = file.read_text() if file else os.environ.get("NUBLADO_TOKEN", "")
    token = token.strip()
    if not token.isascii() or not token.isprintable():
        fail("the token has characters that no token has")
    return token or None


@contextmanager
def _reached(place: _Place) -> Iterator[RunningService]:
    if place.forward is not None:
        with _forwarded(place.forward, place.context) as origin:
            # There is no ingress on this way that would say who is asking.
            headers = {"X-Auth-Request-User": getpass.getuser()}
            yield RunningService(f"{origin}{place.prefix}", headers)
    elif place.url is None:
        raise click.UsageError(_NOWHERE)
    else:
        if urlsplit(place.url).scheme not in ("http", "https"):
            raise click.UsageError(f"--url must begin with https://, not {place.url}")
        headers = {"Authorization": f"Bearer {place.token}"} if place.token else {}
        yield RunningService(place.url, headers)


@contextmanager
def _forwarded(target: str, context: str | None) -> Iterator[str]:
    """Forward a port by kubectl while it is needed."""
    namespace, mark, deployment = target.partition("/")
    if not (namespace and mark and deployment):
        raise click.UsageError("--port-forward takes NAMESPACE/DEPLOYMENT.")
    command = ["kubectl", *(("--context", context) if context else ())]
    command += ["port-forward", "--namespace", namespace, "--address", "127.0.0.1"]
    command += [f"deployment/{deployment}", f":{_SERVICE_PORT}"]
    try:
        process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except FileNotFoundError:
        fail("--port-forward needs kubectl, which is not installed")
    try:
        yield f"http://{_address(process)}"
    finally:
        process.terminate()
        process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    """Wait until kubectl says where it listens; exits with 1 if it does not."""
    patience = threading.Timer(_FORWARD_SECONDS, process.kill)
    patience.start()
    try:
        assert process.stdout is not None  # noqa: S101
        for line in process.stdout:
            if found := _FORWARDED.match(line):
                return found[1]
        assert process.stderr is not None  # noqa: S101
        problem = process.stderr.read().strip() or "it does not say where it listens"
        fail(f"kubectl cannot forward a port: {problem}")
    finally:
        patience.cancel()


def _is_json(response: requests.Response) -> bool:
    has_body = response.status_code not in (HTTPStatus.NO_CONTENT, HTTPStatus.ACCEPTED)
    return not has_body or "json" in response.headers.get("Content-Type", "")


def _explain(response: requests.Response) -> str:
    """Say in words why a request has failed."""
    status = response.status_code
    try:
        return "; ".join(problem["msg"] for problem in response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        pass
    if status == HTTPStatus.UNAUTHORIZED or response.is_redirect:
        return f"the platform asks to log in: {_REMEDY}"
    if status == HTTPStatus.FORBIDDEN:
        return f"the token does not allow this: {_REMEDY}"
    return f"{response.url} is not a route of this service (status {status})"


def _reason(error: requests.RequestException) -> str:
    """Say what is wrong, without the layers of libraries around it."""
    cause: BaseException = error
    while (inner := _inner(cause)) is not None:
        cause = inner
    return str(getattr(cause, "strerror", None) or cause)


def _inner(error: BaseException) -> BaseException | None:
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return reason
    first = error.args[0] if error.args else None
    return first if isinstance(first, BaseException) else error.__cause__
