"""Forms on the pages of operators, and the page about one user."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as BaseResponse

from nublado.exceptions import (
    ClientRequestError,
    NubladoError,
    ValidationProblemsError,
)
from nublado.handlers.context import check_username, process
from nublado.handlers.describe import (
    UNKNOWN_USER,
    Caller,
    Needs,
    ResponseSpec,
    describe,
)
from nublado.handlers.form_tokens import form_token, sender_of_form
from nublado.handlers.page import render_page
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.notices import Notice
from nublado.models.domain.status import ObjectLine
from nublado.models.v1.history import dump_history
from nublado.models.v1.notices import parse_notice
from nublado.models.v1.status import dump_user

__all__ = ["desk"]

desk = Blueprint("desk", __name__, url_prefix="/admin")

Action = Callable[[str], None]
"""Does something; takes the name of who wants it."""

UserAction = Callable[[str, str], None]
"""Does something to what is a user's; takes also the name of who wants it."""

_BACK = ResponseSpec(
    "Done; back to the page", HTTPStatus.SEE_OTHER, media_type="text/html"
)


@desk.get("/users/<username>")
@describe(
    Caller.ADMIN,
    ResponseSpec("The page", media_type="text/html"),
    errors=[UNKNOWN_USER],
    needs=Needs.LABS,
)
def user_page(username: str) -> Response:
    """Show operators all that is known of a user's lab."""
    check_username(username)
    context = process()
    objects, problem = _objects(username)
    return render_page(
        "admin-user.html",
        forms=True,
        user=dump_user(context.status.user(username)),
        history=dump_history(username, context.history.of(username))["history"],
        objects=objects,
        problem=problem,
        token=form_token(),
        done=request.args.get("done"),
        now=datetime.now(UTC),
    )


@desk.post("/users/<username>/<action>")
@describe(Caller.ADMIN, _BACK, needs=Needs.LABS, is_form=True)
def act_on_user(username: str, action: str) -> BaseResponse:
    """Delete what a user has."""
    back = url_for("desk.user_page", username=username)
    work = _user_actions().get(action)
    if work is None:
        raise NotFound

    def act(by: str) -> None:
        check_username(username)
        work(username, by)

    return _do(act, back, action)


@desk.post("/actions/<action>")
@describe(Caller.ADMIN, _BACK, needs=Needs.LABS, is_form=True)
def act(action: str) -> BaseResponse:
    """Do something to the service."""
    work = _actions().get(action)
    if work is None:
        raise NotFound
    return _do(work, url_for("admin.status_page"), action)


def _user_actions() -> dict[str, UserAction]:
    actions = process().actions
    return {
        "delete-lab": actions.delete_lab,
        "delete-fileserver": actions.delete_fileserver,
    }


def _actions() -> dict[str, Action]:
    actions, notices = process().actions, process().notices
    return {
        "drain": lambda by: notices.drain(_notice(by)),
        "undrain": notices.undrain,
        "announce": lambda by: notices.announce(_notice(by)),
        "withdraw": notices.withdraw,
        "refresh": actions.refresh,
        "prepull": actions.prepull,
    }


def _do(work: Action, back: str, action: str) -> BaseResponse:
    """Do what a form asks for, and show the page again, or why it failed."""
    try:
        work(sender_of_form())
    except (ClientRequestError, ValidationProblemsError) as e:
        return _failed(e.status, str(e), back)
    except NubladoError as e:
        process().alerts.report(e, event="Operator's action failed", action=action)
        return _failed(HTTPStatus.BAD_GATEWAY, str(e), back)
    return redirect(f"{back}?done={action}", HTTPStatus.SEE_OTHER)


def _failed(status: int, reason: str, back: str) -> Response:
    return render_page(
        "action-failed.html", code=HTTPStatus(status), reason=reason, back=back
    )


def _notice(by: str) -> Notice:
    """Make a notice of the fields of a form."""
    body: JSON = {"message": request.form.get("message", "").replace("\r\n", "\n")}
    minutes = request.form.get("minutes", "")
    if minutes.isdecimal() and len(minutes) < 7:
        until = datetime.now(UTC) + timedelta(minutes=int(minutes))
        body["until"] = until.isoformat()
    return parse_notice(body, by)


def _objects(username: str) -> tuple[tuple[ObjectLine, ...], str | None]:
    """Objects of a lab, or why they are not known."""
    try:
        return process().labs.inspector.objects(username), None
    except NubladoError as e:
        return (), str(e)
