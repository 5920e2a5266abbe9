"""Tokens of forms, by themselves."""

from __future__ import annotations

import time

import pytest

from nublado.exceptions import ForeignFormError
from nublado.handlers.form_tokens import FormTokens


def test_token_is_valid_for_its_user() -> None:
    tokens = FormTokens()
    tokens.check(tokens.make("ann"), "ann")


@pytest.mark.parametrize("username", ["bob", "an", "ann.x", ""])
def test_token_is_not_valid_for_others(username: str) -> None:
    tokens = FormTokens()
    with pytest.raises(ForeignFormError):
        tokens.check(tokens.make("ann"), username)


@pytest.mark.parametrize("token", ["", "ann", "ann.x.y", "\0", "é" * 9])
def test_what_is_no_token_is_not_valid(token: str) -> None:
    with pytest.raises(ForeignFormError):
        FormTokens().check(token, "ann")


def test_token_of_an_earlier_process_is_not_valid() -> None:
    with pytest.raises(ForeignFormError):
        FormTokens().check(FormTokens().make("ann"), "ann")


def test_token_is_not_valid_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = FormTokens()
    token, now = tokens.make("ann"), time.time()
    monkeypatch.setattr(time, "time", lambda: now + 11 * 3600)
    tokens.check(token, "ann")
    monkeypatch.setattr(time, "time", lambda: now + 13 * 3600)
    with pytest.raises(ForeignFormError):
        tokens.check(token, "ann")
