"""Bodies of requests: JSON of a bounded size, from this site only."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from flask import request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import RequestEntityTooLarge

from nublado.constants import MAX_BODY_BYTES
from nublado.exceptions import (
    CrossSiteError,
    UnsupportedMediaTypeError,
)
from nublado.handlers.problems import malformed_body

__all__ = ["json_body", "refuse_cross_site", "refuse_foreign_forms"]


def refuse_foreign_forms() -> None:
    """Refuse what a form on a foreign page can send with the user's cookies.

    Raises
    ------
    CrossSiteError
        Raised if the browser says that the request comes from another site.
    UnsupportedMediaTypeError
        Raised if the body is not declared as JSON, which no form can do.

    References
    ----------
    https://www.w3.org/TR/fetch-metadata/
    """
    refuse_cross_site()
    if request.mimetype != "application/json":
        raise UnsupportedMediaTypeError


def refuse_cross_site(*, unless_navigation: bool = False) -> None:
    """Refuse a request that a foreign page makes.

    Parameters
    ----------
    unless_navigation
        Allow it if the user follows a link.

    Raises
    ------
    CrossSiteError
        Raised if the browser says that the request comes from another site.
    """
    if "cross-site" not in request.headers.get("Sec-Fetch-Site", "").lower():
        return
    if unless_navigation and request.headers.get("Sec-Fetch-Mode") == "navigate":
        return
    raise CrossSiteError


def json_body() -> Any:
    """Read and parse the body.

    Raises
    ------
    RequestEntityTooLarge
        Raised if it is larger than 1 MiB, whether or not its length was declared.
    ValidationProblemsError
        Raised if it is incomplete, or not JSON.
    """
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    try:
        data = request.environ["wsgi.input"].read(MAX_BODY_BYTES + 1)
    except (ParseException, OSError) as e:
        _refuse("Body is incomplete", e)
    if len(data) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    if len(data) < (request.content_length or 0):
        _refuse("Body is incomplete")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as e:
        reason = e.msg if isinstance(e, json.JSONDecodeError) else "cannot be decoded"
        _refuse(f"Body is not valid JSON: {reason}", e)


def _refuse(message: str, cause: Exception | None = None) -> NoReturn:
    raise malformed_body(message) from cause
