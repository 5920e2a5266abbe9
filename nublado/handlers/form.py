"""The spawner form, a fragment of HTML that JupyterHub puts into its page."""

from __future__ import annotations

import re

from flask import Blueprint, Response, g, render_template, request, url_for
from markupsafe import escape

from nublado.constants import DROPDOWN_SENTINEL, SERVICE_PREFIX
from nublado.exceptions import (
    InvalidDockerReferenceError,
    InvalidTokenError,
    ValidationProblem,
    ValidationProblemsError,
)
from nublado.handlers.context import authenticated_user, process
from nublado.handlers.describe import (
    MISSING_HEADER,
    NOT_MINE,
    Caller,
    Needs,
    ResponseSpec,
    describe,
)
from nublado.handlers.page import speak_language_of_reader
from nublado.models.domain.docker import DockerReference
from nublado.models.v1.lab import parse_lab_specification
from nublado.pages.form import form_policy, form_script, form_style
from nublado.services.form import LastChoice, SpawnerForm
from nublado.services.form_images import ImageChoices

__all__ = ["form"]

form = Blueprint("form", __name__, url_prefix="/spawner/v1/lab-form")

_REMEMBERED = ("image_list", "image_dropdown", "size", "enable_debug")
_NONCE_HEADER = "x-csp-nonce"
_NONCE = re.compile(r"[A-Za-z0-9+/_-]{16,128}={0,2}", re.ASCII)

_lists: dict[str, tuple[ImageChoices, str]] = {}
"""By language, the list as it was rendered last."""


@form.get("/<username>")
@describe(
    Caller.USER,
    ResponseSpec(
        "The form, for a page of JupyterHub",
        media_type="text/html",
        headers={
            "Content-Security-Policy": "What the policy of that page has to allow for"
            " the form to have its style and its script"
        },
    ),
    errors=[InvalidTokenError(), NOT_MINE, MISSING_HEADER],
    needs_user=True,
    needs_token=True,
    takes_nonce=True,
    query=dict.fromkeys(
        _REMEMBERED, "What JupyterHub remembers of the last choice, as it was sent"
    ),
    needs=Needs.IMAGES,
)
def lab_form(username: str) -> Response:
    """Form of a user.

    It can be used without its style and script, too. What the user had last is chosen;
    where the service does not know, it is what JupyterHub remembers.
    """
    nonce = _nonce()
    user = authenticated_user(username)
    speak_language_of_reader()
    chosen = process().forms.form(user.info, _remembered())
    base_url = process().environment.external_url
    progress = url_for("progress.lab_progress", username=username)
    lab_path = chosen.lab.path if chosen.lab else None
    text = render_template(
        "lab-form.html",
        form=chosen,
        notices=process().notices.current,
        sentinel=DROPDOWN_SENTINEL,
        progress_url=f"{base_url}{progress}",
        lab_url=lab_path and f"{base_url}{lab_path}",
        style=form_style(),
        script=form_script(),
        nonce=nonce,
        listed=_list(chosen),
    )
    response = Response(text, content_type="text/html; charset=utf-8")
    allowed = "; ".join(f"{k} {v}" for k, v in form_policy(nonce).items())
    response.headers["Content-Security-Policy"] = f"default-src 'none'; {allowed}"
    response.vary.add("Accept-Language")
    return response


def _remembered() -> LastChoice | None:
    """What JupyterHub remembers; None if that is nothing, or cannot be understood."""
    options = {
        name: values
        for name, values in request.args.to_dict(flat=False).items()
        if name in _REMEMBERED
    }
    body = {"options": options, "env": {SERVICE_PREFIX: "/"}}
    try:
        specification = parse_lab_specification(body)
    except ValidationProblemsError:
        return None
    image = specification.image.image_list or specification.image.image_dropdown
    try:
        DockerReference.parse(image or "")
    except InvalidDockerReferenceError:
        image = None
    return LastChoice(image, specification.size, specification.enable_debug)


def _list(chosen: SpawnerForm) -> str:
    """Render the list of images, which is the same for all but for what is chosen."""
    images, name = chosen.images, g.language.name
    rendered = _lists.get(name)
    if rendered is None or rendered[0] is not images:
        text = render_template("lab-form-list.html", images=images)
        rendered = _lists[name] = (images, text)
    if chosen.chosen is None:
        return rendered[1]
    value = f'value="{escape(chosen.chosen.reference)}"'
    return rendered[1].replace(value, f"{value} selected", 1)


def _nonce() -> str | None:
    """Nonce of the page that the form is for.

    Raises
    ------
    ValidationProblemsError
        Raised if it is none, as the standard for policies defines them.

    References
    ----------
    https://www.w3.org/TR/CSP3/#grammardef-nonce-source
    """
    nonce = request.headers.get(_NONCE_HEADER)
    if nonce is not None and not _NONCE.fullmatch(nonce):
        problem = ValidationProblem(
            "value_error", "Header is not a nonce", ("header", _NONCE_HEADER)
        )
        raise ValidationProblemsError([problem])
    return nonce
