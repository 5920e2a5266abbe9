"""Answers that API servers, and what stands before them, give in bad moments.

Each has a name by which a fault rule asks for it. Texts are those of
Kubernetes 1.34 to 1.36, of etcd 3.5, nginx and HAProxy.

References
----------
https://github.com/kubernetes/apimachinery/blob/master/pkg/api/errors/errors.go
https://github.com/kubernetes/apiserver/blob/master/pkg/endpoints/handlers/responsewriters/status.go
https://github.com/etcd-io/etcd/blob/main/api/v3rpc/rpctypes/error.go
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.echoes import ECHOES
from nublado.sandbox.kubernetes.attributes import Attributes, attributes_of, denied
from nublado.sandbox.kubernetes.identity import CONTROLLER
from nublado.sandbox.kubernetes.urls import locate

__all__ = ["ANSWER_NAMES", "Answer", "answer_for", "json_answer", "status_body"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request.

    Parameters
    ----------
    status
        HTTP status.
    text
        Body.
    content_type
        Its type.
    headers
        Further headers.
    """

    status: int
    text: str
    content_type: str = "text/plain"
    headers: dict[str, str] = field(default_factory=dict)

    def response(self, headers: dict[str, str]) -> web.Response:
        """Make the response, with headers that replace those of the same name."""
        return web.Response(
            status=self.status,
            text=self.text,
            content_type=self.content_type,
            headers={**self.headers, **headers},
        )


def status_body(
    code: int, reason: str, message: str, details: JSON | None = None
) -> JSON:
    """Make a ``Status`` of a failure; an empty reason is left out, as in Go."""
    body: JSON = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
    }
    if reason:
        body["reason"] = reason
    if details is not None:
        body["details"] = details
    return body | {"code": code}


def json_answer(status: int, body: JSON, **headers: str) -> Answer:
    """Make an answer of JSON."""
    return Answer(status, json.dumps(body), "application/json", headers)


async def answer_for(name: str, request: web.Request) -> Answer:
    """Make the answer of a name.

    Parameters
    ----------
    name
        One of `ANSWER_NAMES`.
    request
        The request; it is named in some of the texts.
    """
    text = (await request.read()).decode(errors="replace")
    if name in ECHOES:
        headers = "\n".join(f"{key}: {value}" for key, value in request.headers.items())
        status, body, kind = ECHOES[name](f"{request.path_qs}\n{headers}\n\n{text}")
        written = body if isinstance(body, str) else json.dumps(body)
        return Answer(status, written, kind)
    obj = _object_in(text)
    wanted = attributes_of(request, locate(request.path))
    sent = (obj.get("metadata") or {}).get("name", "")
    return _ANSWERS[name](_Asked(wanted, wanted.name or sent))


def _object_in(text: str) -> JSON:
    """Object that a request has sent; empty if it cannot be read."""
    try:
        sent = json.loads(text)
    except ValueError:
        return {}
    return sent if isinstance(sent, dict) else {}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request is about, as the texts of answers name it."""

    wanted: Attributes
    object_name: str

    @property
    def details(self) -> JSON:
        details: JSON = {"name": self.object_name} if self.object_name else {}
        if self.wanted.group:
            details["group"] = self.wanted.group
        return details | {"kind": self.wanted.resource}


def _failure(
    code: int, reason: str, message: str, details: JSON | None = None, **headers: str
) -> Callable[[_Asked], Answer]:
    def make(_: _Asked) -> Answer:
        return json_answer(code, status_body(code, reason, message, details), **headers)

    return make


def _internal(cause: str) -> Callable[[_Asked], Answer]:
    message = f"Internal error occurred: {cause}"
    return _failure(500, "InternalError", message, {"causes": [{"message": cause}]})


def _page(status: int, title: str, server: str) -> Callable[[_Asked], Answer]:
    text = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>{server}</center>\r\n"
        "</body>\r\n</html>\r\n"
    )
    return lambda _: Answer(status, text, "text/html")


def _redirect(status: int, phrase: str) -> Callable[[_Asked], Answer]:
    def make(asked: _Asked) -> Answer:
        location = f"/login?rd={asked.wanted.path}"
        text = f'<a href="{location}">{phrase}</a>.\n\n'
        return Answer(status, text, "text/html", {"Location": location})

    return make


def _forbidden(asked: _Asked) -> Answer:
    error = denied(CONTROLLER.name, asked.wanted)
    return json_answer(error.code, error.status())


def _quota_unknown(asked: _Asked) -> Answer:
    message = (
        f'{asked.wanted.resource} "{asked.object_name}" is forbidden: status unknown'
        f" for quota: {asked.object_name}, resources: limits.cpu,limits.memory"
    )
    return json_answer(403, status_body(403, "Forbidden", message, asked.details))


def _webhook_denied(asked: _Asked) -> Answer:
    wanted = asked.wanted
    message = (
        'admission webhook "validate.kyverno.svc-fail" denied the request: resource'
        f" {wanted.resource}/{wanted.namespace or ''}/{asked.object_name} was blocked"
        " due to the following policies"
    )
    return json_answer(403, status_body(403, "Forbidden", message))


_WEBHOOK = (
    'failed calling webhook "validate.kyverno.svc-fail": failed to call webhook: Post'
    ' "https://kyverno-svc.kyverno.svc:443/validate/fail?timeout=10s": context deadline'
    " exceeded"
)
_HAPROXY_408 = (
    "<html><body><h1>408 Request Time-out</h1>\n"
    "Your browser didn't send a complete request in time.\n</body></html>\n"
)

_ANSWERS: dict[str, Callable[[_Asked], Answer]] = {
    "leader-changed": _failure(500, "", "etcdserver: leader changed"),
    "etcd-timeout": _failure(500, "", "etcdserver: request timed out"),
    "compacted": _failure(
        500, "", "etcdserver: mvcc: required revision has been compacted"
    ),
    "webhook-failed": _internal(_WEBHOOK),
    "webhook-denied": _webhook_denied,
    "forbidden": _forbidden,
    "quota-unknown": _quota_unknown,
    "too-many-requests": lambda _: Answer(
        429,
        "Too many requests, please try again later.\n",
        headers={"Retry-After": "1", "X-Content-Type-Options": "nosniff"},
    ),
    "unavailable": _failure(
        503,
        "ServiceUnavailable",
        "the server is currently unable to handle the request",
    ),
    "deadline": _failure(
        504,
        "Timeout",
        "Timeout: request did not complete within the allotted timeout",
        {},
    ),
    "request-timeout": lambda _: Answer(408, _HAPROXY_408, "text/html"),
    "bad-gateway": _page(502, "502 Bad Gateway", "nginx"),
    "gateway-timeout": _page(504, "504 Gateway Time-out", "nginx"),
    "moved": _redirect(301, "Moved Permanently"),
    "found": _redirect(302, "Found"),
    "see-other": _redirect(303, "See Other"),
    "temporary-redirect": _redirect(307, "Temporary Redirect"),
    "permanent-redirect": _redirect(308, "Permanent Redirect"),
}

ANSWER_NAMES = (*_ANSWERS, *ECHOES)
"""Names of all answers."""
