"""The description of the API, derived from the routes and their schemas.

References
----------
https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from http import HTTPStatus
from inspect import getdoc
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from marshmallow import fields
from werkzeug.routing import Rule

from nublado import __version__
from nublado.constants import USERNAME_PATTERN
from nublado.handlers.describe import Description, ResponseSpec, description_of
from nublado.handlers.problems import (
    framework_problem,
    internal_problem,
    malformed_body,
    problems_of,
    starting,
)
from nublado.models.domain.kubernetes import JSON
from nublado.models.v1.common import ErrorSchema
from nublado.models.v1.fields import describe_form_field

__all__ = ["openapi_document"]

_OVERVIEW = """\
Spawns and manages JupyterLab pods for the users of a science platform.

An ingress in front of the service authenticates every request, decides who may
call which routes, and sets the headers `X-Auth-Request-User` and
`X-Auth-Request-Token`. Every error is JSON of one shape; whoever prefers `text/html`
to `application/json` gets a page that says the same.
"""
_TAGS = {
    "labs": "Create, watch, delete labs",
    "progress": "Page of a spawn",
    "form": "Spawner form",
    "images": "Images of labs",
    "fileservers": "File servers of users",
    "files": "Page of the file server",
    "fsadmin": "A pod with all file systems of labs",
    "admin": "For operators",
    "desk": "Pages of operators",
    "operate": "What operators do",
    "index": "The service",
    "probes": "Probes and metrics",
    "runbook": "What operators can do",
    "docs": "This description",
}
_REQUEST_ID = "6d250bb7f7aa609b"


def openapi_document(app: Flask, title: str = "nublado") -> JSON:
    """Describe the routes of an application.

    Parameters
    ----------
    app
        The application; only its routes count.
    title
        Name of the service.
    """
    marshmallow = MarshmallowPlugin()
    spec = APISpec(
        title=title,
        version=__version__,
        openapi_version="3.1.0",
        info={"description": _OVERVIEW},
        plugins=[marshmallow],
    )
    assert marshmallow.converter is not None  # noqa: S101
    marshmallow.converter.add_attribute_function(_form_field)  # type: ignore[no-untyped-call]
    described = list(_described(app))
    used = {name for _, _, name in described}
    for name, text in _TAGS.items():
        if name in used:
            spec.tag({"name": name, "description": text})
    for rule, description, tag in described:
        view = app.view_functions[rule.endpoint]
        operation = _operation(rule, description, getdoc(view) or "", tag)
        (method,) = set(rule.methods or ()) - {"HEAD", "OPTIONS"}
        spec.path(path=_path(rule), operations={method.lower(): operation})
    document: JSON = spec.to_dict()
    return document


def _described(app: Flask) -> Iterator[tuple[Rule, Description, str]]:
    """Find the routes that are described, each once, by its simplest rule."""
    rules: dict[str, Rule] = {}
    for rule in app.url_map.iter_rules():
        known = rules.setdefault(rule.endpoint, rule)
        if len(rule.arguments) < len(known.arguments):
            rules[rule.endpoint] = rule
    for rule in rules.values():
        description = description_of(app.view_functions[rule.endpoint])
        if description is not None and not description.is_form:
            yield rule, description, rule.endpoint.partition(".")[0]


def _operation(rule: Rule, description: Description, doc: str, tag: str) -> JSON:
    summary, _, rest = doc.partition("\n\n")
    operation: JSON = {
        "operationId": _operation_id(rule.endpoint),
        "summary": summary.rstrip("."),
        "description": f"{rest}\n\nFor {description.caller}.".strip(),
        "tags": [tag],
        "parameters": list(_parameters(rule, description)),
        "responses": dict(_responses(rule, description, tag)),
    }
    if description.body is not None:
        schema, example = description.body
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": example}},
        }
    return operation


def _operation_id(endpoint: str) -> str:
    return endpoint.partition(".")[2]


def _path(rule: Rule) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def _parameters(rule: Rule, description: Description) -> Iterator[JSON]:
    if "username" in rule.arguments:
        yield {
            "name": "username",
            "in": "path",
            "required": True,
            "schema": {
                "type": "string",
                "pattern": f"^{USERNAME_PATTERN.pattern}$",
                "maxLength": 32,
            },
            "example": "rachel",
        }
    if description.needs_user:
        yield _header("X-Auth-Request-User", "Username, set by the ingress", "rachel")
    if description.needs_token:
        text = "Notebook token of the user, set by the ingress"
        yield _header("X-Auth-Request-Token", text, "gt-rachel")
    if description.resumes:
        text = "Id of the last event that was seen; only later ones are sent"
        header = _header("Last-Event-ID", text, "0f2f5e6a8c11:3")
        yield {**header, "required": False}
    if description.takes_nonce:
        text = "Nonce of the page that the answer is for, which allows its parts"
        header = _header("X-CSP-Nonce", text, "PLpN3YqVQw0Bz9J0d1cI2w")
        header["schema"]["pattern"] = "^[A-Za-z0-9+/_-]{16,128}={0,2}$"
        yield {**header, "required": False}
    for name, text in description.query.items():
        schema = {"type": "string"}
        yield {"name": name, "in": "query", "description": text, "schema": schema}


def _header(name: str, text: str, example: str) -> JSON:
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": text,
        "schema": {"type": "string"},
        "example": example,
    }


# --- Responses -----------------------------------------------------------


def _responses(
    rule: Rule, description: Description, tag: str
) -> Iterator[tuple[str, JSON]]:
    for spec in description.responses:
        yield str(spec.status.value), _response(spec, rule)
    yield from _error_responses(rule, description, tag)


def _response(spec: ResponseSpec, rule: Rule) -> JSON:
    response: JSON = {"description": spec.description}
    if spec.media_type is not None:
        content: JSON = {"schema": spec.schema or {"type": "string"}}
        if spec.example is not None:
            content["example"] = spec.example
        response["content"] = {spec.media_type: content}
    if spec.headers:
        response["headers"] = {
            name: {"description": text, "required": True, "schema": {"type": "string"}}
            for name, text in spec.headers.items()
        }
    if spec.links:
        parameters = dict.fromkeys(sorted(rule.arguments), "$request.path.username")
        response["links"] = {
            name: {"operationId": name, "parameters": parameters} for name in spec.links
        }
    return response


def _error_responses(
    rule: Rule, description: Description, tag: str
) -> Iterator[tuple[str, JSON]]:
    """Describe errors: those of the route, and those that any route may have."""
    examples: dict[int, JSON] = defaultdict(dict)
    errors = list(description.errors)
    problems = [(HTTPStatus.INTERNAL_SERVER_ERROR, [internal_problem(_REQUEST_ID)])]
    if description.body is not None:
        errors.append(malformed_body())
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        problems.append((status, [framework_problem(status)]))
    if tag != "probes":
        errors.append(starting("Kubernetes does not list pods"))
    problems += [
        (HTTPStatus(error.status), problems_of(error, rule.arguments))
        for error in errors
    ]
    for status, detail in problems:
        examples[status][detail[0]["type"]] = {"value": {"detail": detail}}
    for code, shown in sorted(examples.items()):
        content = {"schema": ErrorSchema, "examples": shown}
        response: JSON = {
            "description": HTTPStatus(code).phrase,
            "content": {"application/json": content},
        }
        if code == HTTPStatus.SERVICE_UNAVAILABLE:
            response["headers"] = {
                "Retry-After": {
                    "description": "Seconds after which to try again",
                    "required": True,
                    "schema": {"type": "integer"},
                }
            }
        yield str(code), response


# --- Schemas -------------------------------------------------------------


def _form_field(_: Any, field: fields.Field[Any], ret: JSON, **__: Any) -> JSON:
    """Describe what a form field really accepts."""
    described = describe_form_field(field)
    if described:
        for name in ("type", "enum", "default", "additionalProperties"):
            ret.pop(name, None)
    return described
