"""Pages for people: HTML that needs nothing but itself.

Style and scripts are part of a page, allowed by a nonce, so that each page is
one request, and no other route has to be reachable by its reader.
"""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import Any

from flask import Response, render_template

__all__ = ["render_page"]

_NONCE_BYTES = 16


def render_page(
    template: str, *, code: HTTPStatus = HTTPStatus.OK, **values: Any
) -> Response:
    """Render a template as the response of a route.

    Parameters
    ----------
    template
        Name of the template; its ``nonce`` allows styles and scripts.
    code
        Status of the response.
    values
        What else it shows.

    References
    ----------
    https://www.w3.org/TR/CSP3/
    """
    nonce = secrets.token_urlsafe(_NONCE_BYTES)
    text = render_template(template, nonce=nonce, **values)
    response = Response(text, code, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}';"
        " connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'self'"
    )
    response.headers["Cache-Control"] = "no-store"
    return response
