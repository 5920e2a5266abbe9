"""Whether a request wants a page for people, or JSON for programs."""

from __future__ import annotations

from flask import request

__all__ = ["VARIES_BY", "wants_page"]

VARIES_BY = "Accept"
"""Header of requests on which it depends."""

_JSON, _PAGE = "application/json", "text/html"


def wants_page() -> bool:
    """Whether HTML is preferred to JSON, as browsers do that open a page.

    Whoever takes both alike, or says nothing, gets JSON.

    References
    ----------
    https://www.rfc-editor.org/rfc/rfc9110#name-accept
    """
    return request.accept_mimetypes.best_match((_JSON, _PAGE)) == _PAGE
