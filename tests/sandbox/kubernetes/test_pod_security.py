"""Pod Security Standards that a namespace enforces."""

from __future__ import annotations

from typing import Any

import pytest

from nublado.models.domain.kubernetes import JSON
from tests.sandbox.kubernetes.conftest import RunningApi

PODS = "/api/v1/namespaces/strict/pods"
ENFORCE = "pod-security.kubernetes.io/enforce"
SAFE: JSON = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
MUST = "must set securityContext"


def refusal(api: RunningApi, level: str, spec: JSON, version: str = "") -> str:
    labels = {ENFORCE: level}
    if version:
        labels[f"{ENFORCE}-version"] = version
    namespace = {"metadata": {"name": "strict", "labels": labels}}
    api.do(lambda store: store.create("Namespace", namespace))
    api.create("ServiceAccount", "default", "strict")
    status, body = api.request("POST", PODS, {"metadata": {"name": "nb"}, "spec": spec})
    if status == 201:
        return ""
    assert (status, body["reason"]) == (403, "Forbidden")
    start = f'pods "nb" is forbidden: violates PodSecurity "{level}:'
    start += f'{version or "latest"}": '
    assert body["message"].startswith(start)
    return str(body["message"].removeprefix(start))


def containers(*contexts: Any) -> list[JSON]:
    return [
        {"name": f"c{number}", "image": "x:1", "securityContext": context}
        for number, context in enumerate(contexts)
    ]


def test_all_violations_of_restricted_are_named(api: RunningApi) -> None:
    spec = {"containers": containers({}), "automountServiceAccountToken": False}
    assert refusal(api, "restricted", spec, "v1.34") == (
        f'allowPrivilegeEscalation != false (container "c0" {MUST}'
        f'.allowPrivilegeEscalation=false), unrestricted capabilities (container "c0"'
        f' {MUST}.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container'
        f' "c0" {MUST}.runAsNonRoot=true), seccompProfile (pod or container "c0" {MUST}'
        '.seccompProfile.type to "RuntimeDefault" or "Localhost")'
    )


def test_several_containers_and_volumes(api: RunningApi) -> None:
    root = SAFE | {"runAsUser": 0, "capabilities": {"drop": ["ALL"], "add": ["KILL"]}}
    spec = {
        "initContainers": [{"name": "i", "image": "x:1", "securityContext": {}}],
        "containers": containers({}, root),
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [
            {"name": "home", "nfs": {"server": "s", "path": "/"}},
            {"name": "data", "hostPath": {"path": "/data"}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    text = refusal(api, "restricted", spec)
    assert f'(containers "i", "c0" {MUST}.allowPrivilegeEscalation=false)' in text
    assert (
        f'unrestricted capabilities (containers "i", "c0" {MUST}.capabilities.drop='
        '["ALL"]; container "c1" must not include "KILL" in'
        " securityContext.capabilities.add)"
    ) in text
    assert (
        'restricted volume types (volumes "home", "data" use restricted volume types'
        ' "hostPath", "nfs")'
    ) in text
    assert 'runAsUser=0 (container "c1" must not set runAsUser=0)' in text
    assert "seccompProfile" not in text


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (
            {"hostNetwork": True, "hostPID": True},
            "host namespaces (hostNetwork=true, hostPID=true)",
        ),
        (
            {"volumes": [{"name": "data", "hostPath": {"path": "/data"}}]},
            'hostPath volumes (volume "data")',
        ),
        (
            {"containers": containers({"privileged": True})},
            'privileged (container "c0" must not set securityContext.privileged=true)',
        ),
        (
            {"containers": containers({"capabilities": {"add": ["SYS_ADMIN"]}})},
            'non-default capabilities (container "c0" must not include "SYS_ADMIN" in'
            " securityContext.capabilities.add)",
        ),
        (
            {
                "containers": [
                    {
                        "name": "c0",
                        "image": "x:1",
                        "ports": [{"containerPort": 80, "hostPort": 80}],
                    }
                ]
            },
            'hostPort (container "c0" uses hostPort 80)',
        ),
        (
            {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
            "seccompProfile (pod must not set securityContext.seccompProfile.type to"
            ' "Unconfined")',
        ),
    ],
)
def test_violations_of_baseline(api: RunningApi, spec: JSON, text: str) -> None:
    spec = {"containers": containers({}), **spec}
    assert refusal(api, "baseline", spec) == text


@pytest.mark.parametrize("level", ["privileged", "baseline", "restricted"])
def test_what_a_level_allows(api: RunningApi, level: str) -> None:
    privileged = {"privileged": True}
    safe = {"privileged": privileged, "baseline": {}, "restricted": SAFE}[level]
    assert refusal(api, level, {"containers": containers(safe)}) == ""
