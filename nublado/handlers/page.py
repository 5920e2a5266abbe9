"""Pages for people: HTML that needs nothing but itself.

Style and scripts are part of a page, allowed by a nonce, so that each page is
one request, and no other route has to be reachable by its reader.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from flask import Response, render_template

from nublado.handlers.context import process

__all__ = ["moment", "render_page"]

_NONCE_BYTES = 16


def moment(time: datetime) -> str:
    """Name a moment for people, such as ``25 November 2026, 22:00 UTC``."""
    return f"{time.astimezone(UTC):%-d %B %Y, %H:%M UTC}"


def render_page(
    template: str,
    *,
    code: HTTPStatus = HTTPStatus.OK,
    forms: bool = False,
    **values: Any,
) -> Response:
    """Render a template as the response of a route.

    Parameters
    ----------
    template
        Name of the template; its ``nonce`` allows styles and scripts, and
        ``notices`` is what users are told.
    code
        Status of the response.
    forms
        Whether it may send forms, to this origin; no other page may show it then.
    values
        What else it shows.

    References
    ----------
    https://www.w3.org/TR/CSP3/
    """
    nonce = secrets.token_urlsafe(_NONCE_BYTES)
    text = render_template(
        template, nonce=nonce, notices=process().notices.current, **values
    )
    target, frames = ("'self'", "'none'") if forms else ("'none'", "'self'")
    response = Response(text, code, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}';"
        " connect-src 'self'; img-src data:; base-uri 'none';"
        f" form-action {target}; frame-ancestors {frames}"
    )
    response.headers["Cache-Control"] = "no-store"
    return response
