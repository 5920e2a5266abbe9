"""Errors in words for people: what has happened, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from nublado.exceptions import (
    ClientRequestError,
    CrossSiteError,
    ForeignFormError,
    InvalidTokenError,
    LoginUnavailableError,
    MaintenanceError,
    NotSupportedError,
    PermissionDeniedError,
    ServiceStartingError,
    ServiceStoppingError,
    ServiceUnavailableError,
    UnknownUserError,
    ValidationProblemsError,
)
from nublado.models.domain.text import Text

__all__ = ["ErrorWords", "words_of", "words_of_status"]


@dataclass(frozen=True, slots=True)
class ErrorWords:
    """An error as a page tells it.

    Parameters
    ----------
    title
        What it is, in a few words.
    happened
        What has happened.
    remedy
        What its reader can do; None if nothing, or nothing but to wait.
    """

    title: Text
    happened: Text
    remedy: Text | None = None


_ASK = Text("If you think that it should work, ask the operators of this platform.")

_WORDS: Mapping[type[Exception], ErrorWords] = {
    LoginUnavailableError: ErrorWords(
        Text("The login service does not answer"),
        Text(
            "So nobody can be recognised at the moment. Labs and file servers that run"
            " are not affected."
        ),
    ),
    ServiceStartingError: ErrorWords(
        Text("The service is starting"),
        Text("It has just been started, and is not ready yet. Labs go on running."),
    ),
    ServiceStoppingError: ErrorWords(
        Text("The service is being restarted"),
        Text("It will be back in a moment. Labs go on running."),
    ),
    MaintenanceError: ErrorWords(
        Text("No lab can be started now"),
        Text(
            "The operators of this platform let none be started at the moment. Labs"
            " that run are not affected."
        ),
    ),
    ServiceUnavailableError: ErrorWords(
        Text("The service is too busy"),
        Text("It has more to do at the moment than it can."),
    ),
    InvalidTokenError: ErrorWords(
        Text("Your login is not valid any more"),
        Text("It has expired, or was ended."),
        Text("Log out, log in again, and open this page once more."),
    ),
    CrossSiteError: ErrorWords(
        Text("Another site has asked for this"),
        Text(
            "A page that does not belong to this platform has sent your browser here."
            " Nothing has been done."
        ),
        Text("Open the page from this platform, if it was you who wanted it."),
    ),
    PermissionDeniedError: ErrorWords(
        Text("Not allowed"), Text("You may not see this page, or do this."), _ASK
    ),
    UnknownUserError: ErrorWords(
        Text("Nothing is here"),
        Text("There is nothing that belongs to this user, or no such user."),
    ),
    NotSupportedError: ErrorWords(
        Text("This platform does not offer that"),
        Text("Its operators have not set it up."),
        _ASK,
    ),
    ValidationProblemsError: ErrorWords(
        Text("That could not be understood"),
        Text("Something is missing in what your browser has sent, or is wrong."),
        Text(
            "Open the page from the start of this platform. If that does not help, tell"
            " its operators what is said below."
        ),
    ),
    ForeignFormError: ErrorWords(
        Text("This page is too old"),
        Text("It was open for too long, or the service has been restarted since."),
        Text("Nothing has been done. Go back, load the page anew, and try again."),
    ),
    ClientRequestError: ErrorWords(
        Text("That did not work"),
        Text("The service has refused, or could not do it."),
        Text(
            "Try again. If it fails again, tell the operators of this platform what is"
            " said below."
        ),
    ),
}
"""By the error, or the most special of its kinds."""

_STATUS_WORDS = {
    HTTPStatus.NOT_FOUND: ErrorWords(
        Text("Nothing is here"),
        Text("There is no page at this address."),
        Text("Check the address, or begin at the start of this platform."),
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: ErrorWords(
        Text("That cannot be done here"),
        Text("This address is not meant for what your browser has sent."),
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: ErrorWords(
        Text("Something went wrong that should not"),
        Text("The operators of this platform have been told."),
        Text("Try again. If it fails again, tell them the number of your request."),
    ),
}


def words_of(
    error: Exception, user: str | None = None, owner: str | None = None
) -> ErrorWords:
    """Find words for an error that is the response to a request.

    Parameters
    ----------
    error
        The error.
    user
        Who has made the request; None if that is not known.
    owner
        Whose page it is, by its address; None if it is nobody's.
    """
    if isinstance(error, PermissionDeniedError) and user and owner and user != owner:
        return ErrorWords(
            Text("This is somebody else's page"),
            Text(
                "You are logged in as %(user)s, and this page belongs to %(owner)s.",
                user=user,
                owner=owner,
            ),
            Text("Open your own from the start of this platform."),
        )
    kinds = (kind for kind in type(error).__mro__ if kind in _WORDS)
    kind = next(kinds, None)
    return _WORDS[kind] if kind else words_of_status(500)


def words_of_status(status: int) -> ErrorWords:
    """Find words for an error of which only the status is known."""
    known = _STATUS_WORDS.get(HTTPStatus(status))
    if known is not None:
        return known
    is_internal = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if is_internal:
        return _STATUS_WORDS[HTTPStatus.INTERNAL_SERVER_ERROR]
    return _WORDS[ValidationProblemsError]
