"""Create, read, list and delete Kubernetes objects of any kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nublado.exceptions import KubernetesConflictError, KubernetesNotFoundError
from nublado.models.domain.kubernetes import JSON, name_of, namespace_of, uid_of
from nublado.storage.kubernetes.client import KubernetesClient, Target
from nublado.storage.kubernetes.resource import Resource, resource_of
from nublado.timeout import Timeout

__all__ = ["ObjectStore"]

_PAGE = 500
_COLLISION_PAUSE = 0.05
_COLLISION_LONGEST_PAUSE = 5.0


class ObjectStore:
    """Objects in the cluster; one instance serves every kind and thread."""

    def __init__(self, client: KubernetesClient) -> None:
        self._client = client

    def create(self, obj: JSON, timeout: Timeout) -> JSON:
        """Create an object.

        If an earlier attempt has created it and only the answer was lost, that
        is success too.

        Raises
        ------
        KubernetesConflictError
            Raised if an object of that name exists already.
        KubernetesError
            Raised if it cannot be created.
        """
        resource = resource_of(obj["kind"])
        namespace, name = namespace_of(obj), name_of(obj)
        target = _target("creating", resource, namespace, name)
        path = resource.path(namespace)
        try:
            return self._client.request("POST", path, target, timeout, body=obj)
        except KubernetesConflictError as e:
            if not e.repeated:
                raise
            if resource.kind == "Secret":
                # May be created but not read; nobody else uses its name.
                return obj
            existing = self.read(resource, namespace, name, timeout)
            if existing is None or not _contains(existing, obj):
                raise
            return existing

    def ensure(self, obj: JSON, timeout: Timeout) -> None:
        """Create an object unless one of its name exists.

        Raises
        ------
        KubernetesError
            Raised if it cannot be created.
        """
        try:
            self.create(obj, timeout)
        except KubernetesConflictError:
            return

    def read(
        self, resource: Resource, namespace: str | None, name: str, timeout: Timeout
    ) -> JSON | None:
        """Read an object; None if it does not exist.

        Raises
        ------
        KubernetesError
            Raised if it cannot be read.
        """
        target = _target("reading", resource, namespace, name)
        try:
            return self._client.request(
                "GET", resource.path(namespace, name), target, timeout
            )
        except KubernetesNotFoundError:
            return None

    def list(
        self,
        resource: Resource,
        timeout: Timeout,
        *,
        namespace: str | None = None,
        labels: str | None = None,
        fields: str | None = None,
    ) -> Iterator[JSON]:
        """List objects by label and field selector, page by page.

        Raises
        ------
        KubernetesError
            Raised if they cannot be listed.

        References
        ----------
        https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
        """
        target = _target("listing", resource, namespace, None)
        query: dict[str, str | int] = {"limit": _PAGE}
        if labels:
            query["labelSelector"] = labels
        if fields:
            query["fieldSelector"] = fields
        while True:
            page = self._client.request(
                "GET", resource.path(namespace), target, timeout, query=query
            )
            yield from page.get("items") or ()
            token = page["metadata"].get("continue")
            if not token:
                return
            query["continue"] = token

    def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        timeout: Timeout,
        *,
        uid: str | None = None,
        grace_seconds: int | None = None,
        propagation: str | None = None,
    ) -> JSON | None:
        """Ask for the deletion of an object, again if that collides with a change.

        Parameters
        ----------
        resource, namespace, name
            Which object.
        timeout
            Deadline.
        uid
            Only delete this very object, not a later one of the same name.
        grace_seconds
            How long a pod may take to stop.
        propagation
            ``Foreground`` or ``Background``.

        Returns
        -------
        dict or None
            Kubernetes' answer; None if there is no such object.

        Raises
        ------
        KubernetesConflictError
            Raised if the object has another uid, or is a namespace that is
            being deleted already.
        KubernetesError
            Raised if it cannot be deleted.
        """
        target = _target("deleting", resource, namespace, name)
        options: JSON = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if propagation is not None:
            options["propagationPolicy"] = propagation
        path = resource.path(namespace, name)
        pause = _COLLISION_PAUSE
        while True:
            try:
                return self._client.request(
                    "DELETE", path, target, timeout, body=options
                )
            except KubernetesNotFoundError:
                return None
            except KubernetesConflictError:
                found = self.read(resource, namespace, name, timeout)
                if found is None:
                    return None
                is_another = uid is not None and uid_of(found) != uid
                is_doomed = "deletionTimestamp" in found["metadata"]
                if is_another or is_doomed or pause > _COLLISION_LONGEST_PAUSE:
                    raise
            timeout.sleep(pause)
            pause *= 2


def _target(
    verb: str, resource: Resource, namespace: str | None, name: str | None
) -> Target:
    noun = "namespace" if resource.kind == "Namespace" else "object"
    plural = "s" if verb == "listing" else ""
    return Target(f"Error {verb} {noun}{plural}", resource.kind, namespace, name)


def _contains(existing: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there; Kubernetes adds its defaults."""
    if isinstance(wanted, dict):
        return isinstance(existing, dict) and all(
            key in existing and _contains(existing[key], value)
            for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(existing, list)
            and len(existing) == len(wanted)
            and all(map(_contains, existing, wanted))
        )
    return bool(existing == wanted)
