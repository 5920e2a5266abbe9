"""Pages for people: HTML that needs nothing but itself.

Style and scripts are part of a page, allowed by a nonce, so that each page is
one request, and no other route has to be reachable by its reader.
"""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, has_request_context, render_template, request

from nublado.handlers.context import process
from nublado.pages.languages import DEFAULT, Language, language, preferred
from nublado.pages.look import look
from nublado.pages.templates import prepare

__all__ = ["prepare_templates", "render_page", "speak_language_of_reader"]

_NONCE_BYTES = 16


def prepare_templates(app: Flask) -> None:
    """Let the templates of an application speak languages, and look alike."""
    config = app.extensions["nublado"].config
    prepare(app.jinja_env, look(config.name, config.pages), _current_language)


def speak_language_of_reader() -> None:
    """Render what follows in the language that the request prefers."""
    g.language = language(preferred(request.accept_languages))


def _current_language() -> Language:
    if has_request_context() and "language" in g:
        chosen: Language = g.language
        return chosen
    return language(DEFAULT)


def render_page(
    template: str,
    *,
    code: HTTPStatus = HTTPStatus.OK,
    forms: bool = False,
    embeddable: bool = False,
    for_users: bool = False,
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
        Whether it may send forms, to this origin.
    embeddable
        Whether pages of the origins that the configuration names may show it in a
        frame. Other pages with forms can be shown by none.
    for_users
        Whether it is in the language of its reader; pages for operators are in
        English, as logs and alerts are.
    values
        What else it shows.

    References
    ----------
    https://www.w3.org/TR/CSP3/
    """
    if for_users:
        speak_language_of_reader()
    nonce = secrets.token_urlsafe(_NONCE_BYTES)
    text = render_template(
        template, nonce=nonce, notices=process().notices.current, **values
    )
    target = "'self'" if forms else "'none'"
    frames = _frame_ancestors(forms=forms, embeddable=embeddable)
    response = Response(text, code, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}';"
        " connect-src 'self'; img-src data:; base-uri 'none';"
        f" form-action {target}; frame-ancestors {frames}"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Language"] = _current_language().name
    if for_users:
        response.vary.add("Accept-Language")
    return response


def _frame_ancestors(*, forms: bool, embeddable: bool) -> str:
    """Which pages may show a page in a frame (CSP)."""
    if embeddable:
        return " ".join(("'self'", *process().config.pages.frame_ancestors))
    return "'none'" if forms else "'self'"
