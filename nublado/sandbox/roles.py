"""The controller's rights in the sandbox, from manifests of a deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.deployment import NAMESPACE
from nublado.sandbox.kubernetes.identity import User, issue_token
from nublado.sandbox.kubernetes.rbac import RBAC_KINDS
from nublado.sandbox.kubernetes.resources import kind_named
from nublado.sandbox.kubernetes.store import Store

__all__ = ["bind_roles", "read_manifests"]


def read_manifests(path: Path) -> list[JSON]:
    """Read roles and bindings from a YAML file, such as a rendered chart.

    Other objects in it are left out, and lists are taken apart.

    Raises
    ------
    ValueError
        Raised if the file is no YAML, or has no binding of a service account.
    """
    try:
        documents: list[Any] = list(yaml.safe_load_all(path.read_text()))
    except yaml.YAMLError as e:
        raise ValueError(f"{path}: not YAML: {e}") from e
    found: list[JSON] = []
    for document in documents:
        if isinstance(document, dict):
            found += document.get("items", [document])
    manifests = [obj for obj in found if obj.get("kind") in RBAC_KINDS]
    if not any(_accounts(obj) for obj in manifests):
        raise ValueError(
            f"{path}: no ClusterRoleBinding or RoleBinding names a ServiceAccount, so"
            " the controller would have no rights; give the chart's rbac.yaml, rendered"
        )
    return manifests


def bind_roles(store: Store, manifests: list[JSON]) -> str:
    """Create roles and bindings; return the token of the account they name.

    Parameters
    ----------
    store
        Objects of the cluster.
    manifests
        What `read_manifests` has read.
    """
    accounts: list[JSON] = []
    for obj in manifests:
        kind = obj["kind"]
        namespace = None
        if kind_named(kind).namespaced:
            namespace = obj["metadata"].get("namespace") or NAMESPACE
            _ensure(store, "Namespace", None, namespace)
        store.create(kind, obj, namespace)
        accounts += _accounts(obj)
    account = accounts[0]
    namespace, name = account.get("namespace") or NAMESPACE, account["name"]
    _ensure(store, "Namespace", None, namespace)
    _ensure(store, "ServiceAccount", namespace, name)
    return issue_token(User.of_account(namespace, name))


def _ensure(store: Store, kind: str, namespace: str | None, name: str) -> None:
    if store.find(kind, namespace, name) is None:
        store.create(kind, {"metadata": {"name": name}}, namespace)


def _accounts(obj: JSON) -> list[JSON]:
    return [s for s in obj.get("subjects") or () if s.get("kind") == "ServiceAccount"]
