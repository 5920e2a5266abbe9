"""What is done before and after every request, whatever its route."""

from __future__ import annotations

import ipaddress
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, current_app, g, redirect, request
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import RequestRedirect
from werkzeug.wrappers import Response as BaseResponse

from nublado.config.environment import Network
from nublado.constants import REQUEST_ID_PATTERN
from nublado.handlers.context import process
from nublado.handlers.describe import Needs, description_of
from nublado.handlers.problems import starting, stopping
from nublado.metrics import REQUEST_SECONDS
from nublado.startup import Part

__all__ = [
    "COMMON_HEADERS",
    "TrustedProxies",
    "WSGIApplication",
    "log_request",
    "register_request_hooks",
    "request_id",
]

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

COMMON_HEADERS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
)
"""Headers of every response that does not say otherwise."""

_MOST_ADDRESSES = 1024
_START_SECONDS = 1.0
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_QUIET_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})

_logger = structlog.get_logger(__name__)

_PARTS = {
    Needs.STATE: Part.LABS,
    Needs.LABS: Part.LABS,
    Needs.FILESERVERS: Part.FILESERVERS,
    Needs.IMAGES: Part.IMAGES,
}


class TrustedProxies:
    """Trusts ``X-Forwarded-*`` headers of proxies only, not of clients.

    Parameters
    ----------
    wsgi_app
        Application to wrap.
    networks
        Where proxies are.
    """

    def __init__(self, wsgi_app, networks: Sequence[Network]) -> None:  # type: ignore[no-untyped-def]
        self._direct = wsgi_app
        self._proxied = ProxyFix(wsgi_app, x_for=1, x_proto=1, x_host=1)
        self._networks = tuple(networks)
        self._is_trusted = lru_cache(_MOST_ADDRESSES)(self._look_up)

    def __call__(self, environ, start_response):  # type: ignore[no-untyped-def]
        """Handle a request."""
        proxied = self._is_trusted(environ.get("REMOTE_ADDR", ""))
        application = self._proxied if proxied else self._direct
        return application(environ, start_response)

    def _look_up(self, address: str) -> bool:
        try:
            remote = ipaddress.ip_address(address)
        except ValueError:
            # A local socket has no address.
            return not address
        return any(remote in network for network in self._networks)


def register_request_hooks(app: Flask) -> None:
    """Give requests an id, refuse those that come too early or late, log them."""
    app.before_request(_identify)
    app.before_request(_drop_trailing_slash)
    app.before_request(_check_up)
    app.after_request(_log)
    app.teardown_request(_end)


def _end(_: BaseException | None) -> None:
    structlog.contextvars.clear_contextvars()


def request_id(given: str) -> str:
    """The id of a request: what its client calls it, if that may be one."""
    if REQUEST_ID_PATTERN.fullmatch(given):
        return given
    return f"{random.getrandbits(64):016x}"


def _identify() -> None:
    g.request_id = request_id(request.headers.get("X-Request-ID", ""))
    g.began = time.monotonic()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _drop_trailing_slash() -> BaseResponse | None:
    """Redirect a path with a trailing slash to the route without it.

    The path is kept as it was sent, since a decoded one may mean something else.
    """
    if not isinstance(request.routing_exception, NotFound):
        return None
    sent, mark, query = str(request.environ["RAW_URI"]).partition("?")
    path = "/" + sent.strip("/")
    if path == sent or not sent.startswith("/"):
        return None
    adapter = current_app.create_url_adapter(request)
    try:
        if adapter is None:
            return None
        adapter.match("/" + request.path.strip("/"), method=request.method)
    except (NotFound, MethodNotAllowed, RequestRedirect):
        return None
    return redirect(f"{path}{mark}{query}", 308)


def _check_up() -> None:
    """Hold requests for what will be up in a moment, and refuse them after that."""
    needs = _needs()
    if needs is Needs.NOTHING:
        return
    context, part = process(), _PARTS[needs]
    if context.stopping and needs is not Needs.STATE:
        raise stopping()
    if not context.wait_up(part, _START_SECONDS):
        raise starting(context.why_not_up(part))


def _log(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    for name, value in COMMON_HEADERS:
        response.headers.setdefault(name, value)
    if response.status_code == HTTPStatus.NO_CONTENT:
        response.headers.pop("Content-Type", None)
    seconds = time.monotonic() - g.began
    route = request.url_rule.rule if request.url_rule else "none"
    REQUEST_SECONDS.labels(_method(), route, response.status_code).observe(seconds)
    if request.path not in _QUIET_PATHS:
        # JupyterHub asks for the state of each lab all the time.
        is_poll = response.status_code == HTTPStatus.OK and _needs() is Needs.STATE
        log_request(
            logging.DEBUG if is_poll else logging.INFO,
            method=request.method,
            path=request.path,
            status=response.status_code,
            seconds=seconds,
            user=request.headers.get("X-Auth-Request-User"),
            remote=request.remote_addr,
        )
    return response


def log_request(
    level: int,
    *,
    method: str,
    path: str,
    status: int,
    seconds: float,
    user: str | None,
    remote: str | None,
) -> None:
    """Write the line about a request that has been answered."""
    _logger.log(
        level,
        "Request",
        method=method,
        path=path,
        status=status,
        seconds=round(seconds, 4),
        user=user,
        remote=remote,
    )


def _method() -> str:
    return request.method if request.method in _METHODS else "other"


def _needs() -> Needs:
    """What has to be up for the route of this request."""
    view = current_app.view_functions.get(request.endpoint or "")
    description = description_of(view) if view is not None else None
    return Needs.NOTHING if description is None else description.needs
