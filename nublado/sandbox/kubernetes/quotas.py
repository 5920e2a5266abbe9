"""Resource quotas: what is used of them, and who would exceed them.

References
----------
https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from __future__ import annotations

from decimal import Decimal

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.errors import ApiError, forbidden
from nublado.sandbox.kubernetes.objects import Objects
from nublado.sandbox.kubernetes.quantities import canonical, quantity, write_quantity
from nublado.sandbox.kubernetes.resources import KINDS, Kind, kind_named

__all__ = ["QuotaAccountant"]

_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_ENDED = ("Succeeded", "Failed")

Amounts = dict[str, Decimal]


class QuotaAccountant:
    """Checks pods and counted objects against quotas, and writes their status.

    Parameters
    ----------
    store
        Objects of the cluster.
    """

    def __init__(self, store: Objects) -> None:
        self._store = store
        store.subscribe(None, self._changed)

    def admit(self, kind: Kind, obj: JSON) -> None:
        """Check a new object against the quotas of its namespace.

        Raises
        ------
        ApiError
            Raised if it would exceed one, or does not say what it needs (403).
        """
        metadata = obj["metadata"]
        for quota in self._store.list("ResourceQuota", metadata["namespace"]):
            hard: JSON = quota["spec"].get("hard", {})
            name = quota["metadata"]["name"]
            if kind.kind == "Pod" and (unsaid := _unsaid(obj, hard)):
                why = f"failed quota: {name}: must specify {unsaid}"
                raise forbidden(kind, metadata["name"], why)
            wanted, used = _usage(kind, obj), self._used(metadata["namespace"], hard)
            over = [
                resource
                for resource in sorted(hard)
                if wanted.get(resource)
                and wanted[resource] + used[resource] > quantity(hard[resource])
            ]
            if over:
                parts = {
                    "requested": {r: _write(r, wanted[r]) for r in over},
                    "used": {r: _write(r, used[r]) for r in over},
                    "limited": {r: hard[r] for r in over},
                }
                texts = [f"{part}: {_pairs(pairs)}" for part, pairs in parts.items()]
                why = f"exceeded quota: {name}, {', '.join(texts)}"
                raise forbidden(kind, metadata["name"], why)

    def _changed(self, change_type: str, obj: JSON) -> None:
        """Write what is used, where that may have changed."""
        namespace = obj["metadata"].get("namespace")
        if obj["kind"] == "Event" or not namespace:
            return
        matters = obj["kind"] in ("Pod", "ResourceQuota") or change_type != "MODIFIED"
        if not matters:
            return
        for quota in self._store.list("ResourceQuota", namespace):
            self._account(quota)

    def _account(self, quota: JSON) -> None:
        namespace, name = (quota["metadata"][f] for f in ("namespace", "name"))
        hard: JSON = quota["spec"].get("hard", {})
        used = self._used(namespace, hard)
        written = {resource: _write(resource, used[resource]) for resource in hard}
        status = {"hard": dict(hard), "used": written}
        if quota.get("status") == status:
            return

        def change(obj: JSON) -> None:
            obj["status"] = status

        try:
            self._store.mutate("ResourceQuota", namespace, name, change)
        except ApiError:
            # Deleted by a reaction to the same change.
            return

    def _used(self, namespace: str, hard: JSON) -> Amounts:
        used: Amounts = dict.fromkeys(hard, Decimal(0))
        kinds = {_counted_kind(resource) for resource in hard} - {None}
        for kind in kinds:
            for obj in self._store.list(str(kind), namespace):
                for resource, amount in _usage(kind_named(str(kind)), obj).items():
                    if resource in used:
                        used[resource] += amount
        return used


_COUNTS = {kind.plural: kind.kind for kind in KINDS} | {
    f"count/{kind.qualified}": kind.kind for kind in KINDS
}


def _counted_kind(resource: str) -> str | None:
    """Kind whose objects use up a resource; None if unknown here."""
    if resource.removeprefix("limits.").removeprefix("requests.") in _COMPUTE:
        return "Pod"
    if resource == "requests.storage":
        return "PersistentVolumeClaim"
    return _COUNTS.get(resource)


def _usage(kind: Kind, obj: JSON) -> Amounts:
    """What an object uses, by resource."""
    one = Decimal(1)
    usage: Amounts = {kind.plural: one, f"count/{kind.qualified}": one}
    if kind.kind == "PersistentVolumeClaim":
        requests = obj["spec"].get("resources", {}).get("requests", {})
        usage["requests.storage"] = quantity(requests.get("storage", 0))
    elif kind.kind == "Pod":
        if obj.get("status", {}).get("phase") in _ENDED:
            return {}
        for name in _COMPUTE:
            usage[f"limits.{name}"] = _pod_total(obj, "limits", name)
            usage[f"requests.{name}"] = _pod_total(obj, "requests", name)
            usage[name] = usage[f"requests.{name}"]
    return usage


def _pod_total(pod: JSON, field: str, name: str) -> Decimal:
    """Sum over the containers, or what the largest init container takes."""

    def amounts(containers: str) -> list[Decimal]:
        return [
            quantity(container.get("resources", {}).get(field, {}).get(name, 0))
            for container in pod["spec"].get(containers, ())
        ]

    zero = Decimal(0)
    return max(sum(amounts("containers"), zero), *amounts("initContainers"), zero)


def _unsaid(pod: JSON, hard: JSON) -> str:
    """Limits and requests that a quota wants to know and a pod does not say."""
    missing = []
    for resource in sorted(hard):
        field, _, name = resource.rpartition(".")
        if name not in _COMPUTE:
            continue
        silent = [
            container["name"]
            for containers in ("containers", "initContainers")
            for container in pod["spec"].get(containers, ())
            if name not in container["resources"].get(field or "requests", {})
        ]
        if silent:
            missing.append(f"{resource} for: {','.join(silent)}")
    return "; ".join(missing)


def _write(resource: str, amount: Decimal) -> str:
    return write_quantity(amount, binary="memory" in resource or "storage" in resource)


def _pairs(amounts: dict[str, str]) -> str:
    return ",".join(f"{name}={canonical(text)}" for name, text in amounts.items())
