"""How routes describe themselves, for the description of the API.

The words come from the docstring of the handler; the rest is what code alone
does not show. Errors are given as the exceptions that the handler
raises, so that the description shows the actual responses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any, TypeVar, cast

from marshmallow import Schema

from nublado.exceptions import PermissionDeniedError, UnknownUserError
from nublado.handlers.problems import RequestError, missing_headers
from nublado.models.domain.kubernetes import JSON

__all__ = [
    "MISSING_HEADER",
    "NOT_MINE",
    "UNKNOWN_USER",
    "USERNAMES",
    "Caller",
    "Description",
    "Needs",
    "describe",
    "description_of",
    "server_sent_events",
]

View = TypeVar("View", bound=Callable[..., Any])


class Caller(StrEnum):
    """Who may call a route, as the ingress decides."""

    ANYONE = "anyone"
    HUB = "JupyterHub"
    USER = "the user"
    ADMIN = "operators"


class Needs(StrEnum):
    """What has to be up before a route can be used."""

    NOTHING = "nothing"
    STATE = "state of labs, which is told during a stop as well"
    LABS = "labs"
    FILESERVERS = "file servers"
    IMAGES = "images"


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """A response of a route when all is well.

    Parameters
    ----------
    description
        In words.
    status
        HTTP status.
    schema
        Schema of the JSON; a JSON schema where there is no other.
    many
        Whether it is a list of that.
    media_type
        Type of what is not JSON; None if there is no body at all.
    headers
        Headers of the response, and what they mean.
    example
        An example of the body.
    links
        Operations that make sense next, for the same user.
    """

    description: str
    status: HTTPStatus = HTTPStatus.OK
    schema: type[Schema] | JSON | None = None
    many: bool = False
    media_type: str | None = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    example: Any = None
    links: Sequence[str] = ()


USERNAMES: JSON = {"type": "array", "items": {"type": "string"}}
"""JSON schema of a list of usernames."""


@dataclass(frozen=True, slots=True)
class Description:
    """The description of a route besides its docstring.

    Parameters
    ----------
    caller
        Who may call it.
    responses
        Its responses when all is well.
    errors
        Examples of its other responses.
    body
        Schema of the body that it accepts, and an example.
    needs_user
        Whether the ingress must name the user.
    needs_token
        Whether the ingress must add their token as well.
    resumes
        Whether it takes up where an earlier answer stopped.
    takes_nonce
        Whether it can be told the nonce of the page that its answer is for.
    query
        Its parameters in the query, all of them text, and what they mean.
    needs
        What has to be up before it can be used.
    is_form
        Whether it takes the form of a page, and is no part of the API.
    """

    caller: Caller
    responses: Sequence[ResponseSpec]
    errors: Sequence[RequestError] = ()
    body: tuple[type[Schema], JSON] | None = None
    needs_user: bool = False
    needs_token: bool = False
    resumes: bool = False
    takes_nonce: bool = False
    query: Mapping[str, str] = field(default_factory=dict)
    needs: Needs = Needs.NOTHING
    is_form: bool = False


UNKNOWN_USER = UnknownUserError("rachel")
NOT_MINE = PermissionDeniedError()
MISSING_HEADER = missing_headers("x-auth-request-user")


def server_sent_events(*kinds: str, ids: bool = False) -> JSON:
    """Create the JSON schema of an event, taken apart into its fields.

    Parameters
    ----------
    kinds
        Values of ``event``.
    ids
        Whether events have an ``id``.
    """
    properties: JSON = {
        "event": {"type": "string", "enum": list(kinds)},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "retry": {"type": "integer"},
    }
    if ids:
        properties["id"] = {"type": "string", "pattern": "^[0-9a-f]{12}:[0-9]+$"}
    return {"type": "object", "properties": properties}


_ATTRIBUTE = "_nublado_description"


def describe(
    caller: Caller, *responses: ResponseSpec, **details: Any
) -> Callable[[View], View]:
    """Attach a description to a handler; see `Description`."""
    description = Description(caller, responses, **details)

    def attach(view: View) -> View:
        setattr(view, _ATTRIBUTE, description)
        return view

    return attach


def description_of(view: Callable[..., Any]) -> Description | None:
    """Find the description of a handler."""
    return cast("Description | None", getattr(view, _ATTRIBUTE, None))
