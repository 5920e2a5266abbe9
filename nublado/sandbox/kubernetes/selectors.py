"""Label and field selectors.

References
----------
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.errors import bad_request

__all__ = ["Predicate", "field_selector", "label_selector", "selection"]

Predicate = Callable[[JSON], bool]
LabelTest = Callable[[dict[str, str]], bool]

_REQUIREMENT = re.compile(
    r"\s*(?P<not>!)?\s*(?P<key>[\w./-]+)\s*"
    r"(?:(?P<op>==|=|!=)\s*(?P<value>[\w.-]*)"
    r"|\b(?P<set>in|notin)\s*\((?P<values>[^)]*)\))?\s*(?:,|$)"
)
_FIELD = re.compile(r"([\w.]+)(==|=|!=)(.*)")


def selection(labels: str | None, fields: str | None) -> Predicate | None:
    """Parse both selectors; None if they select everything.

    Raises
    ------
    ApiError
        Raised if one cannot be parsed (400).
    """
    by_label = label_selector(labels) if labels else None
    by_field = field_selector(fields) if fields else None
    if by_label is None or by_field is None:
        return by_label or by_field
    return lambda obj: by_label(obj) and by_field(obj)


@lru_cache(maxsize=256)
def label_selector(text: str) -> Predicate:
    """Parse a label selector.

    Raises
    ------
    ApiError
        Raised if it cannot be parsed (400).
    """
    tests: list[LabelTest] = []
    position = 0
    while position < len(text):
        match = _REQUIREMENT.match(text, position)
        if match is None:
            raise bad_request(f"unable to parse requirement: {text}")
        tests.append(_label_test(match))
        position = match.end()

    def matches(obj: JSON) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(test(labels) for test in tests)

    return matches


def _label_test(match: re.Match[str]) -> LabelTest:
    key, value = match["key"], match["value"]
    if match["set"]:
        values = {part.strip() for part in match["values"].split(",")}
        if match["set"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if match["op"] == "!=":
        return lambda labels: labels.get(key) != value
    if match["op"]:
        return lambda labels: labels.get(key) == value
    if match["not"]:
        return lambda labels: key not in labels
    return lambda labels: key in labels


@lru_cache(maxsize=256)
def field_selector(text: str) -> Predicate:
    """Parse a field selector; any scalar field may be named.

    Raises
    ------
    ApiError
        Raised if it cannot be parsed (400).
    """
    tests: list[tuple[list[str], bool, str]] = []
    for part in filter(None, text.split(",")):
        match = _FIELD.fullmatch(part.strip())
        if match is None:
            raise bad_request(
                f"invalid selector: '{text}'; can't understand '{part.strip()}'"
            )
        path = _ALIASES.get(match[1], match[1]).split(".")
        tests.append((path, match[2] != "!=", match[3]))

    def matches(obj: JSON) -> bool:
        return all(
            (_field(obj, path) == value) is equal for path, equal, value in tests
        )

    return matches


_ALIASES = {"source": "source.component", "reportingController": "reportingComponent"}


def _field(obj: JSON, path: list[str]) -> str:
    value: object = obj
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
