"""What clients send: query parameters, bodies, and what they accept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.errors import ApiError, bad_request

__all__ = [
    "DeleteOptions",
    "accepts",
    "flag",
    "is_dry_run",
    "number",
    "read_body",
    "read_object",
]


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How to delete, from the body or else the query of a request."""

    grace_seconds: int | None
    propagation: str | None
    uid: str | None
    version: str | None
    dry_run: bool

    @classmethod
    async def read(cls, request: web.Request) -> DeleteOptions:
        """Read the options of a request.

        Raises
        ------
        ApiError
            Raised if they cannot be understood (400).
        """
        body: Any = await read_body(request) if request.can_read_body else {}
        if not isinstance(body, dict):
            raise bad_request("delete options must be an object")
        query = request.query
        preconditions = body.get("preconditions") or {}
        grace = body.get("gracePeriodSeconds")
        if grace is None:
            grace = number(query, "gracePeriodSeconds")
        elif not isinstance(grace, int):
            raise bad_request("gracePeriodSeconds: must be a number")
        propagation = body.get("propagationPolicy") or query.get("propagationPolicy")
        if body.get("orphanDependents") or flag(query, "orphanDependents"):
            propagation = "Orphan"
        return cls(
            grace_seconds=grace,
            propagation=propagation,
            uid=preconditions.get("uid"),
            version=preconditions.get("resourceVersion"),
            dry_run=body.get("dryRun") == ["All"] or is_dry_run(query),
        )


def flag(query: Mapping[str, str], name: str) -> bool:
    """Whether a parameter is set."""
    return query.get(name, "").lower() in ("true", "1", "t")


def number(query: Mapping[str, str], name: str) -> int | None:
    """Read a number that is not negative; None if it is not given.

    Raises
    ------
    ApiError
        Raised if it is none (400).
    """
    text = query.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise bad_request(
            f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}":'
            f" invalid syntax ({name})"
        )
    return int(text)


def is_dry_run(query: Mapping[str, str]) -> bool:
    """Whether a request only asks what would happen.

    Raises
    ------
    ApiError
        Raised if the parameter is not known (400).
    """
    value = query.get("dryRun")
    if value not in (None, "", "All"):
        raise bad_request(f'dryRun: Unsupported value: "{value}": only "All" is')
    return value == "All"


def accepts(request: web.Request, form: str) -> bool:
    """Whether a client prefers another form of objects, such as ``Table``."""
    for choice in request.headers.get("Accept", "").split(","):
        kind, _, parameters = choice.partition(";")
        if kind.strip() == "application/json":
            return f"as={form}" in parameters.replace(" ", "").split(";")
    return False


async def read_object(request: web.Request) -> JSON:
    """Read an object from the body.

    Raises
    ------
    ApiError
        Raised if there is none (400), or in no known format (415).
    """
    body = await read_body(request)
    if not isinstance(body, dict):
        raise bad_request("the object provided is unrecognized (must be an object)")
    if not isinstance(body.setdefault("metadata", {}), dict):
        raise bad_request("the object provided is unrecognized (bad metadata)")
    return body


async def read_body(request: web.Request) -> Any:
    """Read JSON or YAML from the body; see `read_object`."""
    content_type = request.content_type
    data = await request.read()
    try:
        if content_type.endswith("yaml"):
            return yaml.safe_load(data)
        if content_type.endswith("json") or content_type == "application/octet-stream":
            return json.loads(data)
    except (ValueError, yaml.YAMLError) as e:
        text = f"the object provided is unrecognized (must be of type JSON): {e}"
        raise bad_request(text) from e
    text = (
        "the body of the request was in an unknown format - accepted media types"
        " include: application/json, application/yaml"
    )
    raise ApiError(415, "UnsupportedMediaType", text)
