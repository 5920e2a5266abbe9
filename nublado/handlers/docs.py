"""The description of the API, for programs and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from flask import Blueprint, Response, current_app, jsonify, url_for

from nublado.handlers.context import process
from nublado.handlers.curl import curl_command
from nublado.handlers.describe import Caller, ResponseSpec, describe, description_of
from nublado.handlers.openapi import openapi_document
from nublado.handlers.page import render_page
from nublado.models.domain.kubernetes import JSON

__all__ = ["docs"]

docs = Blueprint("docs", __name__)

_INSIDE = frozenset({"probes"})
"""Groups of routes that no ingress leads to."""


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
    routes = list(_routes(document))
    common = _common([route for route in routes if route["tags"][0] not in _INSIDE])
    for route in routes:
        route["bad"] = [problem for problem in route["bad"] if problem not in common]
    groups = [
        (tag, [route for route in routes if route["tags"] == [tag["name"]]])
        for tag in document["tags"]
    ]
    return render_page(
        "docs.html",
        document=document,
        groups=groups,
        common=common,
        schemas=document["components"]["schemas"],
        source=url_for("docs.openapi"),
        base=process().environment.external_url,
    )


def _routes(document: JSON) -> Iterator[JSON]:
    """Operations of the document, with what the page shows besides."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            (tag,) = operation["tags"]
            view = current_app.view_functions[f"{tag}.{operation['operationId']}"]
            description = description_of(view)
            caller = description.caller if description else Caller.ANYONE
            yield {
                **operation,
                "path": path,
                "method": method.upper(),
                "caller": caller,
                "text": operation["description"].removesuffix(f"For {caller}.").strip(),
                "good": _answers(operation["responses"], good=True),
                "bad": list(_problems(_answers(operation["responses"], good=False))),
                "curl": curl_command(
                    path,
                    method,
                    operation,
                    through_ingress=tag not in _INSIDE,
                    anonymous=caller is Caller.ANYONE,
                ),
            }


def _answers(responses: Mapping[str, JSON], *, good: bool) -> dict[str, JSON]:
    """Responses that tell of success, and others where they have one shape."""
    return {
        status: response
        for status, response in responses.items()
        if good != _is_problem(response)
    }


def _is_problem(response: JSON) -> bool:
    media = response.get("content", {}).get("application/json", {})
    return "examples" in media


def _problems(responses: Mapping[str, JSON]) -> Iterator[tuple[str, JSON]]:
    """Examples of what may be wrong, with the status of each."""
    for status, response in responses.items():
        for example in response["content"]["application/json"]["examples"].values():
            for problem in example["value"]["detail"]:
                yield status, problem


def _common(routes: Sequence[JSON]) -> list[tuple[str, JSON]]:
    """Problems that each of these routes may have."""
    first, *others = routes
    return [
        problem
        for problem in first["bad"]
        if all(problem in route["bad"] for route in others)
    ]


def _document() -> JSON:
    """The document; created once, as routes never change."""
    created: dict[str, JSON] = current_app.extensions.setdefault("nublado-openapi", {})
    if "document" not in created:
        created["document"] = openapi_document(current_app, process().config.name)
    return created["document"]
