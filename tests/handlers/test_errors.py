"""Errors as responses, without a service behind them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, g

from nublado import exceptions
from nublado.exceptions import (
    ClientRequestError,
    FileserverCreationError,
    LoginUnavailableError,
    MaintenanceError,
    NubladoError,
    PermissionDeniedError,
    ServiceUnavailableError,
)
from nublado.handlers.error_words import words_of, words_of_status
from nublado.handlers.errors import register_error_handlers

RESPONSES = sorted(
    (
        kind
        for kind in vars(exceptions).values()
        if isinstance(kind, type) and issubclass(kind, ClientRequestError)
    ),
    key=lambda kind: kind.__name__,
)


class Alerts:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def report(self, error: Exception | str, *, event: str, **_: Any) -> None:
        """Note a failure."""
        del error
        self.events.append(event)


def test_page_that_cannot_be_shown_is_told_in_json() -> None:
    app = Flask("nublado")
    alerts = Alerts()
    # Without a configuration, no page can be rendered.
    app.extensions["nublado"] = SimpleNamespace(alerts=alerts, stopping=False)
    register_error_handlers(app)

    @app.before_request
    def identify() -> None:
        g.request_id = "find-me"

    @app.get("/")
    def fail() -> str:
        raise ValueError

    response = app.test_client().get("/", headers={"Accept": "text/html"})
    assert response.status_code == 500
    message = "Internal error, see the log for request find-me"
    assert response.json == {"detail": [{"type": "internal_error", "msg": message}]}
    assert alerts.events == ["Internal error", "Cannot show error on a page"]


@pytest.mark.parametrize("kind", RESPONSES, ids=lambda kind: kind.__name__)
def test_each_error_has_words(kind: type[Exception]) -> None:
    words = words_of(kind.__new__(kind))
    assert str(words.title)
    assert str(words.happened)


def test_words_are_those_of_the_most_special_kind() -> None:
    assert str(words_of(LoginUnavailableError()).title).startswith("The login service")
    busy = words_of(ServiceUnavailableError("Too many streams"))
    assert str(busy.title) == "The service is too busy"
    drained = words_of(MaintenanceError("Back at noon", 60))
    assert str(drained.title) == "No lab can be started now"
    assert str(words_of(FileserverCreationError("no")).title) == "That did not work"
    odd = "Something went wrong that should not"
    assert str(words_of(NubladoError()).title) == odd


@pytest.mark.parametrize(
    ("user", "owner", "is_of_another"),
    [
        ("rachel", "mary", True),
        ("rachel", "rachel", False),
        ("rachel", None, False),
        (None, "mary", False),
    ],
)
def test_page_of_another_user_names_both(
    user: str | None, owner: str | None, is_of_another: bool
) -> None:
    words = words_of(PermissionDeniedError(), user, owner)
    assert (str(words.title) == "This is somebody else's page") is is_of_another
    said = "You are logged in as rachel, and this page belongs to mary."
    assert (str(words.happened) == said) is is_of_another


@pytest.mark.parametrize(
    ("status", "title"),
    [
        (404, "Nothing is here"),
        (405, "That cannot be done here"),
        (413, "That could not be understood"),
        (400, "That could not be understood"),
        (500, "Something went wrong that should not"),
        (502, "Something went wrong that should not"),
    ],
)
def test_status_alone_has_words(status: int, title: str) -> None:
    assert str(words_of_status(status).title) == title
