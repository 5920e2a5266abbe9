"""Roles to which the service's account is held."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.roles import read_manifests
from tests.sandbox.conftest import Cluster

USER = "system:serviceaccount:nublado:nublado"
RBAC = "rbac.authorization.k8s.io"
MANIFESTS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: nublado-nublado}
rules:
  - apiGroups: [""]
    resources: [namespaces, pods]
    verbs: [create, delete, get, list, watch]
  - apiGroups: [""]
    resources: [secrets]
    verbs: [create]
---
apiVersion: v1
kind: Service
metadata: {name: left-out}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: nublado-nublado}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: nublado-nublado}
subjects:
  - {kind: ServiceAccount, name: nublado, namespace: nublado}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: nublado}
rules:
  - apiGroups: [""]
    resources: [secrets]
    resourceNames: [mine]
    verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: nublado}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: nublado}
subjects:
  - {kind: ServiceAccount, name: nublado, namespace: nublado}
"""


@pytest.fixture
def held(start: Callable[..., Cluster], tmp_path: Path) -> Cluster:
    """A cluster whose requests are those of the controller, with its rights."""
    manifests = tmp_path / "rbac.yaml"
    manifests.write_text(MANIFESTS)
    cluster = start(rbac=read_manifests(manifests), directory=tmp_path)
    config = yaml.safe_load((tmp_path / "kubeconfig").read_text())
    token = config["users"][0]["user"]["token"]
    cluster.headers = {"Authorization": f"Bearer {token}"}
    return cluster


def as_administrator(
    cluster: Cluster, method: str, path: str, body: Any = None
) -> JSON:
    headers, cluster.headers = cluster.headers, {}
    try:
        answer = cluster.ask(method, path, body)
    finally:
        cluster.headers = headers
    assert answer.ok, answer.text
    found: JSON = answer.json()
    return found


def test_rights_of_the_roles_and_no_others(held: Cluster) -> None:
    held.create("/api/v1/namespaces", "userlabs-rachel")
    pods = "/api/v1/namespaces/userlabs-rachel/pods"
    assert held.ask("GET", pods).status_code == 200
    answer = held.ask("GET", f"{pods}/nb/log")
    assert answer.status_code == 403
    assert answer.json()["message"] == (
        f'pods "nb" is forbidden: User "{USER}" cannot get resource "pods/log" in API'
        ' group "" in the namespace "userlabs-rachel"'
    )
    assert answer.json()["details"] == {"name": "nb", "kind": "pods"}
    for method, path in (
        ("GET", "/api/v1/nodes"),
        ("GET", "/api/v1/namespaces/userlabs-rachel/secrets"),
        ("PATCH", "/api/v1/namespaces/userlabs-rachel"),
        ("DELETE", "/api/v1/pods"),
        ("GET", "/metrics"),
    ):
        assert held.ask(method, path).status_code == 403, path
    assert held.ask("GET", "/version").status_code == 200
    assert held.ask("GET", "/apis").status_code == 200


def test_role_of_a_namespace_and_of_names(held: Cluster) -> None:
    for name in ("mine", "other"):
        path = "/api/v1/namespaces/nublado/secrets"
        as_administrator(held, "POST", path, {"metadata": {"name": name}})
    assert held.ask("GET", "/api/v1/namespaces/nublado/secrets/mine").ok
    denied = ("nublado/secrets/other", "default/secrets/mine", "nublado/secrets")
    for path in denied:
        assert held.ask("GET", f"/api/v1/namespaces/{path}").status_code == 403


def test_watch_needs_its_own_right(held: Cluster) -> None:
    with held.watch("/api/v1/namespaces") as events:
        assert next(events)["type"] == "ADDED"
    role = as_administrator(
        held, "GET", f"/apis/{RBAC}/v1/clusterroles/nublado-nublado"
    )
    role["rules"][0]["verbs"].remove("watch")
    path = f"/apis/{RBAC}/v1/clusterroles/nublado-nublado"
    as_administrator(held, "PUT", path, role)
    answer = held.ask("GET", "/api/v1/namespaces?watch=1")
    assert answer.status_code == 403
    assert "cannot watch resource" in answer.json()["message"]


def test_rights_posted_to_the_server_count_at_once(held: Cluster) -> None:
    assert held.ask("GET", "/api/v1/nodes").status_code == 403
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    role = {"metadata": {"name": "all"}, "rules": rules}
    as_administrator(held, "POST", f"/apis/{RBAC}/v1/clusterroles", role)
    binding = {
        "metadata": {"name": "all"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "all"},
        "subjects": [{"kind": "Group", "name": "system:serviceaccounts:nublado"}],
    }
    path = f"/apis/{RBAC}/v1/clusterrolebindings"
    as_administrator(held, "POST", path, binding)
    assert held.ask("GET", "/api/v1/nodes").status_code == 200


def test_unknown_token_is_unauthorized(held: Cluster) -> None:
    forged = {"Authorization": held.headers["Authorization"] + "x"}
    assert held.ask("GET", "/api/v1/pods", headers=forged).status_code == 401


def test_requested_token_is_the_account(held: Cluster) -> None:
    path = "/api/v1/namespaces/nublado/serviceaccounts/default/token"
    token = as_administrator(held, "POST", path, {"spec": {}})["status"]["token"]
    answer = held.ask(
        "GET", "/api/v1/pods", headers={"Authorization": f"Bearer {token}"}
    )
    assert '"system:serviceaccount:nublado:default"' in answer.json()["message"]


def test_report_of_rights(held: Cluster) -> None:
    held.control("DELETE", "/rbac")
    held.get("/api/v1/namespaces")
    held.get("/api/v1/namespaces")
    held.ask("GET", "/api/v1/nodes")
    report = held.control("GET", "/rbac")
    assert report["enforced"] is True
    (used,) = report["used"]
    assert used == {
        "role": "ClusterRole nublado-nublado",
        "scope": None,
        "verb": "list",
        "group": "",
        "resource": "namespaces",
        "names": [],
        "count": 2,
    }
    unused = {(g["verb"], g["resource"]) for g in report["unused"]}
    assert ("watch", "pods") in unused
    assert ("list", "namespaces") not in unused
    (missing,) = report["missing"]
    assert missing == {
        "user": USER,
        "verb": "list",
        "group": "",
        "resource": "nodes",
        "namespace": None,
        "name": "",
        "count": 1,
    }


def test_enforcement_can_be_switched(held: Cluster) -> None:
    held.control("PUT", "/rbac", {"enforced": False})
    assert held.ask("GET", "/api/v1/nodes").status_code == 200
    held.control("PUT", "/rbac")
    assert held.ask("GET", "/api/v1/nodes").status_code == 403


def test_administrator_passes_while_roles_are_not_known(held: Cluster) -> None:
    held.control("POST", "/restart", {"away": 0, "forbidden": 300})
    held.until(lambda: not held.control("GET", "/restart")["away"])
    assert held.ask("GET", "/api/v1/namespaces").status_code == 403
    assert as_administrator(held, "GET", "/api/v1/namespaces")["items"]


@pytest.mark.parametrize(
    ("kind", "content", "why"),
    [
        ("rolebindings", {}, "roleRef.kind: Unsupported value"),
        (
            "rolebindings",
            {"roleRef": {"kind": "Role", "name": "a"}, "subjects": [{"kind": "Users"}]},
            'subjects[0].kind: Unsupported value: "Users"',
        ),
        ("roles", {"rules": [{"resources": ["pods"]}]}, "rules[0].verbs: Required"),
    ],
)
def test_roles_and_bindings_are_checked(
    cluster: Cluster, kind: str, content: JSON, why: str
) -> None:
    path = f"/apis/{RBAC}/v1/namespaces/default/{kind}"
    answer = cluster.ask("POST", path, {"metadata": {"name": "bad"}, **content})
    assert answer.status_code == 422
    assert why in answer.json()["message"]


@pytest.mark.parametrize(
    ("text", "why"),
    [("kind: [", "not YAML"), ("kind: Service", "names a ServiceAccount")],
)
def test_manifests_without_rights_are_refused(
    tmp_path: Path, text: str, why: str
) -> None:
    path = tmp_path / "rbac.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=why):
        read_manifests(path)
