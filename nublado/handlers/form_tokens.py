"""Forms that change something: sent from our own pages, by who opened them.

A page has a token that is signed for its reader, which its forms send back. No
other site can read it, or make one.

References
----------
https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import secrets
from typing import cast

from flask import current_app, request
from itsdangerous import BadSignature, TimestampSigner

from nublado.exceptions import CrossSiteError, ForeignFormError
from nublado.handlers.context import authenticated_username

__all__ = ["TOKEN_FIELD", "FormTokens", "form_token", "sender_of_form"]

TOKEN_FIELD = "token"  # noqa: S105
"""Name of the field with the token."""

_KEY_BYTES = 32
_VALID_SECONDS = 12 * 3600
_OWN_SITE = frozenset({None, "same-origin", "none"})


class FormTokens:
    """Signs and checks tokens; those of an earlier process are not valid."""

    def __init__(self) -> None:
        self._signer = TimestampSigner(secrets.token_bytes(_KEY_BYTES), salt="forms")

    def make(self, username: str) -> str:
        """Make a token for the forms that a user is shown."""
        return self._signer.sign(username).decode()

    def check(self, token: str, username: str) -> None:
        """Check that a token was made for a user, within the last 12 h.

        Raises
        ------
        ForeignFormError
            Raised if it was not.
        """
        try:
            signed = self._signer.unsign(token, max_age=_VALID_SECONDS)
        except BadSignature as e:
            raise ForeignFormError from e
        if signed.decode() != username:
            raise ForeignFormError


def form_token() -> str:
    """Token for the forms of a page; empty for a reader who has no name."""
    username = request.headers.get("X-Auth-Request-User")
    return _tokens().make(username) if username else ""


def sender_of_form() -> str:
    """Who has sent this form, from one of our pages.

    Raises
    ------
    CrossSiteError
        Raised if the browser says that it comes from another site, or from
        another origin of this one.
    ForeignFormError
        Raised if its token is missing, too old, or was made for somebody else.
    ValidationProblemsError
        Raised if the ingress does not say who it is.
    """
    if request.headers.get("Sec-Fetch-Site") not in _OWN_SITE:
        raise CrossSiteError
    username = authenticated_username()
    _tokens().check(request.form.get(TOKEN_FIELD, ""), username)
    return username


def _tokens() -> FormTokens:
    return cast("FormTokens", current_app.extensions["nublado.form-tokens"])
