"""Lists of objects: selection, versions and pages.

References
----------
https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.errors import (
    ApiError,
    bad_request,
    expired,
    too_large_version,
)
from nublado.sandbox.kubernetes.history import Revision
from nublado.sandbox.kubernetes.requests import number
from nublado.sandbox.kubernetes.selectors import Predicate, selection
from nublado.sandbox.kubernetes.store import Store
from nublado.sandbox.kubernetes.urls import Place

__all__ = ["Page", "check_version_match", "list_page"]

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result."
    " You must start a new list without the continue parameter."
)

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """A list, or a part of one.

    Parameters
    ----------
    revisions
        The objects.
    metadata
        Metadata of the list.
    """

    revisions: Sequence[Revision]
    metadata: JSON


def list_page(store: Store, place: Place, query: Mapping[str, str]) -> Page:
    """List objects as the parameters of a request ask for.

    Raises
    ------
    ApiError
        Raised if a parameter makes no sense (400, 422), or the version asked
        for is no longer (410) or not yet there (504).
    """
    limit = number(query, "limit") or 0
    matches = selection(query.get("labelSelector"), query.get("fieldSelector"))
    token = query.get("continue")
    if token:
        version, after = _read_token(token)
        revisions = _at(store, place, version, _TOO_OLD)
        revisions = [r for r in revisions if _key(r) > after]
    else:
        version, revisions = _first_page(store, place, query)
    revisions = _select(revisions, matches)
    metadata: JSON = {"resourceVersion": str(version)}
    if limit and len(revisions) > limit:
        metadata["continue"] = _make_token(version, _key(revisions[limit - 1]))
        if matches is None:
            metadata["remainingItemCount"] = len(revisions) - limit
        revisions = revisions[:limit]
    return Page(revisions, metadata)


def check_version_match(query: Mapping[str, str], *, watch: bool) -> None:
    """Check the parameters that say which version is wanted.

    Raises
    ------
    ApiError
        Raised if they contradict each other (422).
    """
    match, version = query.get("resourceVersionMatch"), query.get("resourceVersion")
    field, why = "resourceVersionMatch", None
    if match and match not in ("Exact", "NotOlderThan"):
        why = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan"'
    elif match and watch and "sendInitialEvents" not in query:
        why = "Forbidden: resourceVersionMatch is forbidden for watch unless"
        why += " sendInitialEvents is provided"
    elif match and not watch and not version:
        why = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is"
        why += " provided"
    elif match == "Exact" and version == "0":
        why = 'Forbidden: resourceVersionMatch "Exact" is forbidden for'
        why += ' resourceVersion "0"'
    elif watch and "sendInitialEvents" in query and match != "NotOlderThan":
        why = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to"
        why += " NotOlderThan"
    if why is not None:
        text = f'ListOptions.meta.k8s.io "" is invalid: {field}: {why}'
        raise ApiError(422, "Invalid", text)


def _first_page(
    store: Store, place: Place, query: Mapping[str, str]
) -> tuple[int, list[Revision]]:
    check_version_match(query, watch=False)
    version = number(query, "resourceVersion") or 0
    if version > store.version:
        raise too_large_version(version, store.version)
    if query.get("resourceVersionMatch") == "Exact":
        text = f"The resourceVersion for the provided list is too old: {version}"
        return version, _at(store, place, version, text)
    return store.version, store.revisions(place.kind.kind, place.namespace)


def _at(store: Store, place: Place, version: int, too_old: str) -> list[Revision]:
    try:
        return store.revisions_at(place.kind.kind, place.namespace, version)
    except ApiError as e:
        raise expired(too_old) from e


def _select(revisions: list[Revision], matches: Predicate | None) -> list[Revision]:
    if matches is None:
        return revisions
    return [revision for revision in revisions if matches(revision.obj)]


def _key(revision: Revision) -> Key:
    metadata = revision.obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _make_token(version: int, last: Key) -> str:
    token = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": last})
    return base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, Key]:
    try:
        padded = token + "=" * (-len(token) % 4)
        content = json.loads(base64.urlsafe_b64decode(padded))
        namespace, name = content["start"]
        return int(content["rv"]), (str(namespace), str(name))
    except (ValueError, KeyError, TypeError) as e:
        raise bad_request(f"continue key is not valid: {e}") from e
