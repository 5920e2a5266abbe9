"""What the rules of the API server need of its store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from nublado.models.domain.kubernetes import JSON

__all__ = ["Objects"]


class Objects(Protocol):
    """The objects of the cluster; see `nublado.sandbox.kubernetes.store.Store`."""

    def get(self, kind: str, namespace: str | None, name: str) -> JSON:
        """Return an object."""
        ...

    def find(self, kind: str, namespace: str | None, name: str) -> JSON | None:
        """Return an object, or None if there is none."""
        ...

    def list(self, kind: str, namespace: str | None = None) -> list[JSON]:
        """Return objects, sorted by namespace and name."""
        ...

    def mutate(
        self,
        kind: str,
        namespace: str | None,
        name: str,
        change: Callable[[JSON], JSON | None],
    ) -> JSON:
        """Change an object as a controller does, without checks."""
        ...

    def subscribe(
        self, kind: str | None, callback: Callable[[str, JSON], None]
    ) -> Callable[[], None]:
        """Be notified of changes."""
        ...
