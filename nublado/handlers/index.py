"""Routes about the service itself: metadata, probes, metrics."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from importlib.metadata import metadata

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from nublado import __version__
from nublado.handlers.context import process
from nublado.handlers.describe import Caller, ResponseSpec, describe
from nublado.models.domain.kubernetes import JSON
from nublado.models.v1.common import (
    MetadataResponseSchema,
    MetadataSchema,
    ProbeSchema,
)

__all__ = ["index", "probes"]

probes = Blueprint("probes", __name__)
index = Blueprint("index", __name__)


_PROBE_RESPONSES = (
    ResponseSpec(
        "All is well", schema=ProbeSchema, example={"status": "ok", "problems": []}
    ),
    ResponseSpec(
        "Something is wrong",
        HTTPStatus.SERVICE_UNAVAILABLE,
        schema=ProbeSchema,
        example={"status": "failed", "problems": ["starting"]},
    ),
)
_METADATA = {"name": "nublado", "version": __version__}


@probes.get("/")
@describe(
    Caller.ANYONE,
    ResponseSpec("The application", schema=MetadataSchema, example=_METADATA),
)
def root() -> Response:
    """Application metadata, for probes and whoever looks from the cluster."""
    return jsonify(MetadataSchema().dump(_metadata()))


@probes.get("/healthz")
@describe(Caller.ANYONE, *_PROBE_RESPONSES)
def healthz() -> Response:
    """Whether the process works; if not, it has to be restarted."""
    problems = process().unhealthy()
    return _probe(problems, is_ok=not problems)


@probes.get("/readyz")
@describe(Caller.ANYONE, *_PROBE_RESPONSES)
def readyz() -> Response:
    """Whether the state of labs can be told, and what else does not work.

    Not being able to tell which images there are is a problem, but no reason to
    send no more requests.
    """
    problems = [str(problem) for problem in process().health.problems()]
    return _probe(problems, is_ok=not process().unready())


@probes.get("/metrics")
@describe(Caller.ANYONE, ResponseSpec("Metrics", media_type="text/plain"))
def metrics() -> Response:
    """Metrics in the format of Prometheus."""
    return Response(
        generate_latest(process().metrics), content_type=CONTENT_TYPE_LATEST
    )


@index.get("")
@describe(
    Caller.ANYONE,
    ResponseSpec(
        "The application",
        schema=MetadataResponseSchema,
        example={"metadata": _METADATA},
    ),
)
def external_root() -> Response:
    """Application metadata, for whoever looks from outside."""
    return jsonify(MetadataResponseSchema().dump({"metadata": _metadata()}))


def _probe(problems: list[str], *, is_ok: bool) -> Response:
    status = "ok" if is_ok else "failed"
    response = jsonify(ProbeSchema().dump({"status": status, "problems": problems}))
    response.status_code = 200 if is_ok else 503
    return response


@cache
def _package() -> JSON:
    package = metadata("nublado")
    links = dict(entry.split(", ", 1) for entry in package.get_all("Project-URL") or ())
    known = {
        "version": package["Version"],
        "description": package["Summary"],
        "repository_url": links.get("Source"),
        "documentation_url": links.get("Documentation"),
    }
    return {key: value for key, value in known.items() if value}


def _metadata() -> JSON:
    return {"name": process().config.name, **_package()}
