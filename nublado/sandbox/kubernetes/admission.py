"""What an object has to be, and where, to be let into the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.defaults import fill_in_defaults, initial_status
from nublado.sandbox.kubernetes.errors import bad_request, forbidden, invalid
from nublado.sandbox.kubernetes.metadata import clone
from nublado.sandbox.kubernetes.objects import Objects
from nublado.sandbox.kubernetes.pod_admission import admit_pod
from nublado.sandbox.kubernetes.pod_security import enforce_pod_security
from nublado.sandbox.kubernetes.quotas import QuotaAccountant
from nublado.sandbox.kubernetes.resources import Kind
from nublado.sandbox.kubernetes.validation import (
    check_shape,
    problems_of,
    problems_of_update,
)
from nublado.sandbox.kubernetes.webhooks import Webhooks

__all__ = ["Admission"]

_SERVER_METADATA = (
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
    "generation",
    "resourceVersion",
)
"""What clients cannot change in the metadata of an object."""


class Admission:
    """Checks and completes objects before they are stored.

    Parameters
    ----------
    store
        Objects of the cluster, which some of the rules depend on.

    Attributes
    ----------
    webhooks
        Who else is asked.
    """

    def __init__(self, store: Objects) -> None:
        self.webhooks = Webhooks()
        self._store = store
        self._quotas = QuotaAccountant(store)

    def admit_new(self, kind: Kind, obj: JSON) -> None:
        """Check and complete a new object.

        Raises
        ------
        ApiError
            Raised if it cannot be understood (400), its namespace does not
            exist (404), it is not admitted (403; 500 if a webhook fails) or is
            invalid (422).
        """
        self._check_namespace(kind, obj)
        with _decoding(kind):
            check_shape(kind, obj)
            if self.webhooks.listed:
                self.webhooks.admit(kind, obj)
            _raise_problems(kind, obj, problems_of(kind, obj))
            fill_in_defaults(kind, obj)
            if kind.kind == "Pod":
                admit_pod(self._store, obj)
                enforce_pod_security(self._store, obj)
            if kind.kind != "Node":
                # Nodes register themselves with all that they are.
                _reset_status(kind, obj)
        if kind.namespaced and kind.kind not in ("ResourceQuota", "Event"):
            self._quotas.admit(kind, obj)

    def admit_update(
        self, kind: Kind, old: JSON, new: JSON, subresource: str | None
    ) -> JSON:
        """Check and complete a new state of an object.

        Parameters
        ----------
        kind
            Kind of the object.
        old
            Its state so far.
        new
            Its new state; may be modified.
        subresource
            ``status`` to take over the status alone, ``finalize`` to take
            over the finalizers of a namespace alone.

        Returns
        -------
        dict
            What to store.

        Raises
        ------
        ApiError
            Raised if it cannot be understood (400) or is invalid (422).
        """
        with _decoding(kind):
            if subresource is not None:
                return _with_part_of(old, new, subresource)
            metadata = new["metadata"]
            for field in _SERVER_METADATA:
                metadata.pop(field, None)
                if field in old["metadata"]:
                    metadata[field] = old["metadata"][field]
            if kind.status:
                new.pop("status", None)
                if "status" in old:
                    new["status"] = old["status"]
            check_shape(kind, new)
            _keep_assigned(kind, old, new)
            _raise_problems(kind, new, problems_of(kind, new))
            fill_in_defaults(kind, new)
            _raise_problems(kind, new, problems_of_update(kind, old, new))
        if kind.generation and new.get("spec") != old.get("spec"):
            metadata["generation"] += 1
        return new

    def _check_namespace(self, kind: Kind, obj: JSON) -> None:
        if not kind.namespaced:
            return
        name = obj["metadata"].get("namespace")
        if not name:
            raise bad_request(
                f"an empty namespace may not be set during creation of {kind.kind}"
            )
        namespace = self._store.get("Namespace", None, name)
        if "deletionTimestamp" in namespace["metadata"]:
            why = (
                f"unable to create new content in namespace {name} because it is"
                " being terminated"
            )
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {name} is being terminated",
                "field": "metadata.namespace",
            }
            raise forbidden(kind, obj["metadata"].get("name", ""), why, [cause])


@contextmanager
def _decoding(kind: Kind) -> Iterator[None]:
    """Report what is not of its type.

    A real server decodes into types before anything else. Here, a wrong shape
    shows where it is used, and is the fault of the client all the same.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as e:
        name = kind.kind
        text = f'{name} in version "{kind.version}" cannot be handled as a {name}: {e}'
        raise bad_request(text) from e


def _raise_problems(kind: Kind, obj: JSON, problems: list[tuple[str, str]]) -> None:
    if problems:
        raise invalid(kind, obj["metadata"].get("name", ""), problems)


def _reset_status(kind: Kind, obj: JSON) -> None:
    if kind.status:
        obj.pop("status", None)
        if not kind.custom:
            obj["status"] = initial_status(kind, obj)


def _with_part_of(old: JSON, new: JSON, subresource: str) -> JSON:
    result: JSON = clone(old)
    if subresource == "finalize":
        finalizers = (new.get("spec") or {}).get("finalizers") or []
        result.setdefault("spec", {})["finalizers"] = finalizers
    elif "status" in new:
        result["status"] = new["status"]
    return result


def _keep_assigned(kind: Kind, old: JSON, new: JSON) -> None:
    """Keep what the server has assigned, where a client leaves it out."""
    spec = new.setdefault("spec", {}) if "spec" in old else {}
    if kind.kind == "Namespace":
        spec["finalizers"] = old["spec"].get("finalizers", [])
    fields = {
        "Service": ("clusterIP",),
        "Pod": ("nodeName", "serviceAccountName", "serviceAccount"),
        "Job": ("selector", "completions"),
        "PersistentVolumeClaim": ("volumeName", "storageClassName"),
    }
    for field in fields.get(kind.kind, ()):
        if field in old["spec"] and field not in spec:
            spec[field] = old["spec"][field]
