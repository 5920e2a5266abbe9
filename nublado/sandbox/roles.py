"""The controller's rights in the sandbox, from manifests of a deployment."""

from __future__ import annotations

from collections.abc import Iterator
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
        Raised if the file is no YAML, has a role or binding without a name, or
        has no binding of a service account.
    """
    try:
        documents: list[Any] = list(yaml.safe_load_all(path.read_bytes()))
    except (yaml.YAMLError, RecursionError) as e:
        raise ValueError(f"{path}: not YAML: {e}") from e
    manifests = [obj for obj in _objects(documents) if obj.get("kind") in RBAC_KINDS]
    for obj in manifests:
        _check_fields(path, obj)
    if not any(_accounts(obj) for obj in manifests):
        raise ValueError(
            f"{path}: no ClusterRoleBinding or RoleBinding names a ServiceAccount, so"
            " the controller would have no rights; give the chart's rbac.yaml, rendered"
        )
    return manifests


def _objects(documents: list[Any]) -> Iterator[JSON]:
    for document in documents:
        if isinstance(document, dict):
            listed = document.get("items", [document])
            if isinstance(listed, list):
                yield from (obj for obj in listed if isinstance(obj, dict))


def _check_fields(path: Path, obj: JSON) -> None:
    metadata, subjects = obj.get("metadata"), obj.get("subjects") or []
    if not isinstance(metadata, dict) or not metadata.get("name"):
        raise ValueError(f"{path}: a {obj['kind']} has no metadata.name")
    if not isinstance(subjects, list) or not all(isinstance(s, dict) for s in subjects):
        place = f"{obj['kind']} {metadata['name']}"
        raise ValueError(f"{path}: subjects of {place} must be a list of objects")


def bind_roles(store: Store, manifests: list[JSON]) -> str:
    """Create roles and bindings; return the token of the account they name.

    Parameters
    ----------
    store
        Objects of the cluster.
    manifests
        What `read_manifests` has read.

    Raises
    ------
    ApiError
        Raised if one of them is invalid (422) or is there twice (409).
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
