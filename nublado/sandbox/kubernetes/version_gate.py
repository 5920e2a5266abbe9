"""Refuses versions that clients remember, as a server does after a restore.

A cluster that was restored from a backup counts its versions from an earlier
one again. What clients remember is then from the future, or was never kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from nublado.sandbox.kubernetes.errors import (
    ApiError,
    bad_request,
    expired,
    too_large_version,
)
from nublado.sandbox.kubernetes.requests import number
from nublado.sandbox.kubernetes.store import Store

__all__ = ["Refusal", "VersionGate"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """How remembered versions are refused.

    Parameters
    ----------
    answer
        ``too-large`` (504), ``compacted`` (500), ``bad-request`` (400) or
        ``expired`` (410).
    form
        Whether a watch is refused by the ``status`` of the response, or by an
        ``ERROR`` ``event`` in a response with status 200.
    lists
        Whether lists that name a remembered version are refused as well.
    """

    answer: Literal["too-large", "compacted", "bad-request", "expired"] = "too-large"
    form: Literal["status", "event"] = "status"
    lists: bool = True


class VersionGate:
    """Refuses versions up to one, for as long as it is told to.

    Parameters
    ----------
    store
        Objects of the cluster.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._refusal: Refusal | None = None
        self._last = 0

    @property
    def in_events(self) -> bool:
        """Whether watches are refused by an event."""
        return self._refusal is not None and self._refusal.form == "event"

    def refuse(self, refusal: Refusal) -> int:
        """Refuse all versions that clients may know now.

        Returns
        -------
        int
            The last of them.
        """
        self._refusal = refusal
        self._last = self._store.version
        self._store.skip_version()
        return self._last

    def open(self) -> None:
        """Refuse no more."""
        self._refusal = None

    def check_list(self, query: Mapping[str, str]) -> None:
        """Check the version that a list asks for; see `check_watch`."""
        if self._refusal is not None and self._refusal.lists:
            self.check_watch(query)

    def check_watch(self, query: Mapping[str, str]) -> None:
        """Check the version that a watch starts from.

        Raises
        ------
        ApiError
            Raised if it is one that is refused.
        """
        if self._refusal is None:
            return
        asked = number(query, "resourceVersion") or 0
        if 0 < asked <= self._last:
            raise _ERRORS[self._refusal.answer](asked)


def _compacted(_: int) -> ApiError:
    message = "etcdserver: mvcc: required revision has been compacted"
    return ApiError(500, "", message)


_ERRORS: dict[str, Callable[[int], ApiError]] = {
    "too-large": lambda asked: too_large_version(asked, max(1, asked // 2)),
    "compacted": _compacted,
    "bad-request": lambda asked: bad_request(
        f'resourceVersion: Invalid value: "{asked}": illegal resource version'
    ),
    "expired": lambda asked: expired(
        f"too old resource version: {asked} ({asked + 1})"
    ),
}
