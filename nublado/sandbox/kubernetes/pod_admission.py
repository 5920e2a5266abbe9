"""What the API server adds to pods: service account, token, tolerations.

References
----------
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
"""

from __future__ import annotations

import secrets

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.defaults import containers_of
from nublado.sandbox.kubernetes.errors import forbidden
from nublado.sandbox.kubernetes.objects import Objects
from nublado.sandbox.kubernetes.resources import kind_named

__all__ = ["admit_pod"]

_EVICTION_DELAY = 300
"""Seconds for which pods stay on a node that does not answer."""

_LOST_NODE_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105
_TOKEN_SECONDS = 3607


def admit_pod(store: Objects, pod: JSON) -> None:
    """Complete a new pod.

    Raises
    ------
    ApiError
        Raised if its service account does not exist, perhaps not yet (403).
    """
    spec = pod["spec"]
    _add_service_account(store, pod)
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    tolerations = spec.setdefault("tolerations", [])
    for key in _LOST_NODE_TAINTS:
        if not any(_tolerates(toleration, key) for toleration in tolerations):
            tolerations.append(
                {
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": _EVICTION_DELAY,
                }
            )


def _tolerates(toleration: JSON, key: str) -> bool:
    return toleration.get("effect") in (None, "NoExecute") and (
        toleration.get("key", key) == key
    )


def _add_service_account(store: Objects, pod: JSON) -> None:
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    name = spec.get("serviceAccountName") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    account = store.find("ServiceAccount", namespace, name)
    if account is None:
        why = (
            f"error looking up service account {namespace}/{name}:"
            f' serviceaccount "{name}" not found'
        )
        raise forbidden(kind_named("Pod"), pod["metadata"]["name"], why)
    wanted = spec.get("automountServiceAccountToken")
    if wanted is None:
        wanted = account.get("automountServiceAccountToken")
    if wanted is not False:
        _mount_token(spec)


def _mount_token(spec: JSON) -> None:
    volume = f"kube-api-access-{secrets.token_hex(3)[:5]}"
    mount = {"name": volume, "mountPath": _TOKEN_PATH, "readOnly": True}
    for _, container in containers_of(spec):
        mounts = container.setdefault("volumeMounts", [])
        if all(m["mountPath"] != _TOKEN_PATH for m in mounts):
            mounts.append(dict(mount))
    certificate = [{"key": "ca.crt", "path": "ca.crt"}]
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    sources: list[JSON] = [
        {"serviceAccountToken": {"expirationSeconds": _TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": certificate}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
    ]
    spec.setdefault("volumes", []).append(
        {"name": volume, "projected": {"sources": sources, "defaultMode": 0o644}}
    )
