"""Pods that make nodes pull images."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nublado.config.model import LabConfig, LabSizeDefinition, Toleration
from nublado.models.domain.kubernetes import JSON, name_of
from nublado.models.domain.resources import LabResources, Resources
from nublado.models.domain.rspimage import RSPImage
from nublado.models.domain.rsptag import RSPImageTag
from nublado.services.builder.prepull import PrepullPodBuilder

_SIZES = (
    LabSizeDefinition("small", LabResources.from_limits(Resources(1.0, 2**30)), "1Gi"),
)
_OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "nublado-0", "uid": "u-1"}

_tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True)
_nodes = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", fullmatch=True).filter(
    lambda name: not re.search(r"\.[.-]|-\.", name)
)


def _build(tag: str, node: str, config: LabConfig | None = None) -> JSON:
    config = config or LabConfig(namespace_prefix="labs", sizes=_SIZES)
    image = RSPImage("registry", "lab", RSPImageTag.parse(tag), "sha256:1")
    return PrepullPodBuilder(config, "nublado", _OWNER).build(image, node)


def test_pod_with_everything() -> None:
    config = LabConfig(
        namespace_prefix="labs",
        sizes=_SIZES,
        pull_secret="pull-secret",
        tolerations=(Toleration(key="lab", operator="Exists", effect="NoSchedule"),),
    )
    assert _build("w_2077_43", "node-1", config) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "prepull-w-2077-43-node-1",
            "namespace": "nublado",
            "labels": {"nublado.lsst.io/category": "prepuller"},
            "ownerReferences": [_OWNER],
        },
        "spec": {
            "automountServiceAccountToken": False,
            "nodeName": "node-1",
            "restartPolicy": "Never",
            "imagePullSecrets": [{"name": "pull-secret"}],
            "tolerations": [
                {"key": "lab", "operator": "Exists", "effect": "NoSchedule"}
            ],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65534,
                "runAsGroup": 65534,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "prepull",
                    "image": "registry/lab:w_2077_43@sha256:1",
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["/bin/true"],
                    "resources": {
                        "limits": {"cpu": "1m", "memory": "16Mi"},
                        "requests": {"cpu": "1m", "memory": "16Mi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "readOnlyRootFilesystem": True,
                    },
                }
            ],
        },
    }


def test_what_is_not_configured_is_left_out() -> None:
    spec = _build("w_2077_43", "node-1")["spec"]
    assert "imagePullSecrets" not in spec
    assert "tolerations" not in spec


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("w_2077_43_c0045.001", "prepull-w-2077-43-c0045001-node-1"),
        ("recommended", "prepull-recommended-node-1"),
    ],
)
def test_ordinary_tags_are_part_of_the_name(tag: str, name: str) -> None:
    assert name_of(_build(tag, "node-1")) == name


@pytest.mark.parametrize("tag", ["W_2077_43", "w-2077_43", "_", "___"])
def test_unusual_tags_have_names_of_their_own(tag: str) -> None:
    name = name_of(_build(tag, "node-1"))
    assert name != name_of(_build("w_2077_43", "node-1"))
    assert re.fullmatch(r"prepull-[a-z0-9-]+-node-1-[0-9a-f]{8}", name)


@given(_tags, _nodes)
def test_names_are_valid(tag: str, node: str) -> None:
    name = name_of(_build(tag, node))
    assert len(name) <= 253
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", name)
