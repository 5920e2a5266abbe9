"""Answers that quote the request that they refuse, as real servers do.

References
----------
https://github.com/kubernetes/apimachinery/blob/master/pkg/util/validation/field/errors.go
https://github.com/kubernetes/apiserver/blob/master/pkg/admission/plugin/webhook/errors/statuserror.go
"""

from __future__ import annotations

import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus

from nublado.models.domain.kubernetes import JSON

__all__ = ["ECHOES", "Echo", "go_quoted"]

Echo = Callable[[str], tuple[int, str | JSON, str]]
"""From the request, as text, to the status, body and media type of an answer."""

_TEXT, _HTML, _JSON = "text/plain", "text/html", "application/json"
_NOT_ESCAPED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_WEBHOOK = 'admission webhook "validate.kyverno.svc-fail" denied the request: '


def go_quoted(text: str) -> str:
    """Write a text as Go's ``%+q`` does, without the quotes."""

    def escape(character: str) -> str:
        code = ord(character)
        if character in _NOT_ESCAPED:
            return _NOT_ESCAPED[character]
        if character.isprintable() and character.isascii():
            return character
        if code < 0x80:
            return f"\\x{code:02x}"
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

    return "".join(map(escape, text))


def _status(code: int, reason: str, message: str, **more: JSON | list[JSON]) -> Echo:
    """Make an answer of a ``Status``, with ``{}`` for the request."""

    def echo(request: str) -> tuple[int, JSON, str]:
        body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message.replace("{}", request),
            "reason": reason,
            "code": code,
        }
        return code, body | more, _JSON

    return echo


def _written(write: Callable[[str], str], echo: Echo) -> Echo:
    return lambda request: echo(write(request))


def _with_causes(request: str) -> tuple[int, JSON, str]:
    status, body, kind = _status(422, "Invalid", "the object is invalid")(request)
    assert isinstance(body, dict)  # noqa: S101
    cause = {"reason": "FieldValueInvalid", "message": request, "field": request}
    details = {"name": request, "kind": "ConfigMap", "causes": [cause] * 3}
    return status, body | {"details": details}, kind


def _page(request: str) -> tuple[int, str, str]:
    written = html.escape(request)
    page = (
        f"<!DOCTYPE html><html><head><title>Blocked: {written}</title></head>"
        f"<body><h1>Request rejected</h1><pre>{written}</pre></body></html>"
    )
    return 403, page, _HTML


_DENIED = _status(400, "BadRequest", f"{_WEBHOOK}{{}}")
_INVALID = _status(
    422, "Invalid", 'ConfigMap "x" is invalid: data: Invalid value: "{}": is refused'
)

ECHOES: dict[str, Echo] = {
    "echo-text": lambda request: (400, f"cannot handle {request}", _TEXT),
    "echo-html": _page,
    "echo-json": lambda request: (400, {"error": request, "request": [request]}, _JSON),
    "echo-broken-json": lambda request: (
        400,
        json.dumps({"kind": "Status", "message": request})[:-2],
        _JSON,
    ),
    "echo-status": _status(400, "BadRequest", "{}"),
    "echo-causes": _with_causes,
    "echo-webhook": _DENIED,
    "echo-nested": _written(json.dumps, _DENIED),
    "echo-twice-nested": _written(lambda r: json.dumps(json.dumps(r)), _DENIED),
    "echo-invalid": _written(go_quoted, _INVALID),
    "echo-bytes": _written(
        lambda r: f"[]byte{{{', '.join(hex(b) for b in r.encode())}}}", _INVALID
    ),
    "echo-hex": _written(lambda r: r.encode().hex(), _INVALID),
    "echo-base64": _written(lambda r: b64encode(r.encode()).decode(), _DENIED),
    "echo-base64-url": _written(
        lambda r: urlsafe_b64encode(b"." + r.encode()).decode().rstrip("="), _DENIED
    ),
    "echo-url": _written(quote, _DENIED),
    "echo-form": _written(quote_plus, _DENIED),
    "echo-cut-off": _written(lambda r: r[: len(r) * 2 // 3] + "...", _DENIED),
}
"""Answers by name; none of them asks for another attempt."""
