"""The spawner form, a fragment of HTML that JupyterHub puts into its page."""

from __future__ import annotations

from flask import Blueprint, Response, render_template, send_from_directory, url_for

from nublado import __version__
from nublado.constants import DROPDOWN_SENTINEL
from nublado.exceptions import InvalidTokenError
from nublado.handlers.context import authenticated_user, process
from nublado.handlers.describe import (
    MISSING_HEADER,
    NOT_MINE,
    Caller,
    Needs,
    ResponseSpec,
    describe,
)

__all__ = ["form"]

form = Blueprint("form", __name__, url_prefix="/spawner/v1/lab-form")

_ASSETS = "static"
_ASSETS_SECONDS = 3600
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'"


@form.get("/<username>")
@describe(
    Caller.USER,
    ResponseSpec("The form, for a page of JupyterHub", media_type="text/html"),
    errors=[InvalidTokenError(), NOT_MINE, MISSING_HEADER],
    needs_user=True,
    needs_token=True,
    needs=Needs.IMAGES,
)
def lab_form(username: str) -> Response:
    """Form of a user."""
    user = authenticated_user(username)
    page = render_template(
        "lab-form.html",
        form=process().forms.form(user.info),
        notices=process().notices.current,
        sentinel=DROPDOWN_SENTINEL,
        asset=_asset_url,
    )
    response = Response(page, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    return response


@form.get("/static/<path:name>")
def asset(name: str) -> Response:
    """Style and script of the form.

    They lie below the form, so that whoever may see the form may have them.
    """
    return send_from_directory(_ASSETS, name, max_age=_ASSETS_SECONDS)


def _asset_url(name: str) -> str:
    return url_for("form.asset", name=name, v=__version__)
