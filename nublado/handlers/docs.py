"""The description of the API, for programs and as a page."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify, url_for

from nublado.handlers.context import process
from nublado.handlers.describe import Caller, ResponseSpec, describe
from nublado.handlers.openapi import openapi_document
from nublado.handlers.page import render_page
from nublado.models.domain.kubernetes import JSON

__all__ = ["docs"]

docs = Blueprint("docs", __name__)


@docs.get("/openapi.json")
@describe(Caller.ANYONE, ResponseSpec("OpenAPI document", schema={"type": "object"}))
def openapi() -> Response:
    """Describe the API to programs."""
    return jsonify(_document())


@docs.get("/docs")
@describe(Caller.ANYONE, ResponseSpec("The page", media_type="text/html"))
def browse() -> Response:
    """Describe the API to people."""
    document = _document()
    operations = [
        {"path": path, "method": method.upper(), **operation}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    groups = [
        (tag, [o for o in operations if o["tags"] == [tag["name"]]])
        for tag in document["tags"]
    ]
    return render_page(
        "docs.html",
        document=document,
        groups=groups,
        schemas=document["components"]["schemas"],
        source=url_for("docs.openapi"),
    )


def _document() -> JSON:
    """The document; created once, as routes never change."""
    created: dict[str, JSON] = current_app.extensions.setdefault("nublado-openapi", {})
    if "document" not in created:
        created["document"] = openapi_document(current_app, process().config.name)
    return created["document"]
