"""How to send a request from a terminal, made of its description."""

from __future__ import annotations

import json
import re
import shlex

from nublado.models.domain.kubernetes import JSON

__all__ = ["curl_command"]

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_EVENT_STREAM = "text/event-stream"


def curl_command(
    path: str, method: str, operation: JSON, *, through_ingress: bool, anonymous: bool
) -> str:
    """Write the command that sends a request.

    Where the service is and a token are the variables ``BASE`` and ``TOKEN`` of
    the shell. What the ingress adds to a request is left to it.

    Parameters
    ----------
    path
        Path of the route; its parameters are filled with their examples.
    method
        Method of the request.
    operation
        Description of the operation, as in an OpenAPI document.
    through_ingress
        Whether the route is reached through the ingress, or from the cluster alone.
    anonymous
        Whether it needs no token.
    """
    parts = ["curl"]
    if _is_stream(operation):
        parts.append("-N")
    if method.upper() != "GET":
        parts.append(f"-X {method.upper()}")
    arguments = []
    if not anonymous:
        arguments.append('-H "Authorization: Bearer $TOKEN"')
    arguments += _body(operation)
    base = "$BASE" if through_ingress else "$POD"
    arguments.append(f'"{base}{_filled(path, operation)}"')
    return " \\\n  ".join([" ".join(parts), *arguments])


def _is_stream(operation: JSON) -> bool:
    return any(
        _EVENT_STREAM in response.get("content", {})
        for response in operation["responses"].values()
    )


def _body(operation: JSON) -> list[str]:
    if "requestBody" not in operation:
        return []
    ((media_type, media),) = operation["requestBody"]["content"].items()
    body = shlex.quote(json.dumps(media["example"]))
    return [f'-H "Content-Type: {media_type}"', f"-d {body}"]


def _filled(path: str, operation: JSON) -> str:
    examples = {
        parameter["name"]: parameter["example"]
        for parameter in operation["parameters"]
        if parameter["in"] == "path"
    }
    return _PLACEHOLDER.sub(lambda match: str(examples[match[1]]), path)
