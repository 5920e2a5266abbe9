"""Rules for names, labels and annotations, worded as Kubernetes words them.

References
----------
https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.resources import Kind

__all__ = [
    "Problem",
    "bad_label",
    "bad_subdomain",
    "invalid_value",
    "metadata_problems",
]

Problem = tuple[str, str]
"""Path of a field, and what is wrong with it."""

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SERVICE = "[a-z]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_VALUE = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

_MAX_LABEL = 63
_MAX_SUBDOMAIN = 253
_MAX_ANNOTATIONS = 256 * 1024

_WORDS = "must consist of lower case alphanumeric characters"
_ENDS = "must start and end with an alphanumeric character"


def invalid_value(value: object, why: str) -> str:
    """Say that a value is not valid."""
    return f"Invalid value: {json.dumps(value)}: {why}"


def bad_label(name: str) -> str | None:
    """Why a name is not an RFC 1123 label; None if it is one."""
    if len(name) > _MAX_LABEL:
        return f"must be no more than {_MAX_LABEL} characters"
    if re.fullmatch(_LABEL, name):
        return None
    return (
        f"a lowercase RFC 1123 label {_WORDS} or '-', and {_ENDS} (e.g. 'my-name', "
        f" or '123-abc', regex used for validation is '{_LABEL}')"
    )


def bad_subdomain(name: str) -> str | None:
    """Why a name is not an RFC 1123 subdomain; None if it is one."""
    if len(name) > _MAX_SUBDOMAIN:
        return f"must be no more than {_MAX_SUBDOMAIN} characters"
    if re.fullmatch(_SUBDOMAIN, name):
        return None
    return (
        f"a lowercase RFC 1123 subdomain {_WORDS}, '-' or '.', and {_ENDS} (e.g."
        f" 'example.com', regex used for validation is '{_SUBDOMAIN}')"
    )


def _bad_service(name: str) -> str | None:
    if len(name) > _MAX_LABEL:
        return f"must be no more than {_MAX_LABEL} characters"
    if re.fullmatch(_SERVICE, name):
        return None
    return (
        f"a DNS-1035 label {_WORDS} or '-', start with an alphabetic character, and"
        " end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex"
        f" used for validation is '{_SERVICE}')"
    )


_NAME_RULES = {"Namespace": bad_label, "Service": _bad_service}


def metadata_problems(kind: Kind, metadata: JSON) -> Iterator[Problem]:
    """What is wrong with the metadata of an object."""
    name = metadata.get("name")
    if not name:
        yield "metadata.name", "Required value: name or generateName is required"
    elif why := _NAME_RULES.get(kind.kind, bad_subdomain)(name):
        yield "metadata.name", invalid_value(name, why)
    for key, value in metadata.get("labels", {}).items():
        if why := _bad_key(key):
            yield "metadata.labels", invalid_value(key, why)
        if why := _bad_label_value(value):
            yield "metadata.labels", invalid_value(value, why)
    annotations = metadata.get("annotations", {})
    for key in annotations:
        if why := _bad_key(key.lower()):
            yield "metadata.annotations", invalid_value(key, why)
    size = sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items())
    if size > _MAX_ANNOTATIONS:
        why = f"Too long: may not be more than {_MAX_ANNOTATIONS} bytes"
        yield "metadata.annotations", why


def _bad_key(key: str) -> str | None:
    prefix, slash, name = key.rpartition("/")
    if slash and (not prefix or bad_subdomain(prefix)):
        return f"prefix part {bad_subdomain(prefix) or 'must be non-empty'}"
    if not name or len(name) > _MAX_LABEL or not re.fullmatch(_KEY, name):
        return (
            "name part must consist of alphanumeric characters, '-', '_' or '.', and"
            f" {_ENDS} (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for"
            f" validation is '{_KEY}')"
        )
    return None


def _bad_label_value(value: str) -> str | None:
    if len(value) > _MAX_LABEL:
        return f"must be no more than {_MAX_LABEL} characters"
    if re.fullmatch(_VALUE, value):
        return None
    return (
        "a valid label must be an empty string or consist of alphanumeric characters,"
        f" '-', '_' or '.', and {_ENDS} (e.g. 'MyValue',  or 'my_value',  or '12345',"
        f" regex used for validation is '{_VALUE}')"
    )
