"""The pod for file systems, and its claims, compared with what is expected."""

from __future__ import annotations

from nublado.config.model import (
    AccessMode,
    ContainerImage,
    ContainerResources,
    FsadminConfig,
    HostPathSource,
    LabConfig,
    LabSizeDefinition,
    NFSSource,
    PullPolicy,
    PVCSource,
    Toleration,
    Volume,
    VolumeMount,
)
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.resources import LabResources, Resources
from nublado.services.builder.fsadmin import FsadminBuilder

_CLAIM = PVCSource(
    (AccessMode.READ_WRITE_MANY,), "fast", {"requests": {"storage": "1Gi"}}
)
_LAB = LabConfig(
    namespace_prefix="userlabs",
    sizes=(
        LabSizeDefinition("small", LabResources.from_limits(Resources(1.0, 2**30))),
    ),
    volumes=(
        Volume("home", NFSSource("10.0.0.1", "/share1/home")),
        Volume("scratch", _CLAIM),
        Volume("unused", HostPathSource("/data")),
    ),
    volume_mounts=(
        VolumeMount("/home", "home"),
        VolumeMount("/project", "home", "project", read_only=True),
        VolumeMount("/scratch", "scratch", read_only=True),
    ),
)
_IMAGE = ContainerImage("ghcr.io/example/nublado", "15.1.0", PullPolicy.ALWAYS)
_METADATA: JSON = {
    "namespace": "nublado",
    "labels": {"nublado.lsst.io/category": "fsadmin"},
    "annotations": {
        "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
        "argocd.argoproj.io/sync-options": "Prune=false",
    },
}


def _build(config: FsadminConfig) -> FsadminBuilder:
    return FsadminBuilder(config, _LAB, _IMAGE, "nublado")


def test_pod_by_default() -> None:
    annotations = {
        **_METADATA["annotations"],
        "nublado.lsst.io/requested-by": "admin",
    }
    assert _build(FsadminConfig()).pod("admin") == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**_METADATA, "name": "fsadmin", "annotations": annotations},
        "spec": {
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "fsadmin",
                    "image": "ghcr.io/example/nublado:15.1.0",
                    "imagePullPolicy": "Always",
                    "command": ["tail", "-f", "/dev/null"],
                    "volumeMounts": [
                        {"name": "home", "mountPath": "/home"},
                        {"name": "home", "mountPath": "/project", "subPath": "project"},
                        {"name": "scratch", "mountPath": "/scratch"},
                    ],
                    "securityContext": {
                        "privileged": True,
                        "runAsUser": 0,
                        "runAsGroup": 0,
                    },
                }
            ],
            "volumes": [
                {
                    "name": "home",
                    "nfs": {"server": "10.0.0.1", "path": "/share1/home"},
                },
                {
                    "name": "scratch",
                    "persistentVolumeClaim": {"claimName": "fsadmin-pvc-scratch"},
                },
            ],
        },
    }


def test_claims_of_what_labs_mount() -> None:
    assert _build(FsadminConfig()).claims() == [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {**_METADATA, "name": "fsadmin-pvc-scratch"},
            "spec": {
                "storageClassName": "fast",
                "accessModes": ["ReadWriteMany"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
    ]


def test_pod_with_every_setting() -> None:
    resources = Resources(1.0, 2**30)
    affinity: JSON = {"nodeAffinity": {}}
    builder = _build(
        FsadminConfig(
            affinity=affinity,
            extra_annotations={"example.org/team": "data"},
            extra_volumes=(Volume("archive", _CLAIM), Volume("spare", _CLAIM)),
            extra_volume_mounts=(
                VolumeMount("/archive", "archive", read_only=True),
                VolumeMount("/data", "unused"),
            ),
            mount_prefix="/user-filesystems",
            node_selector={"pool": "admin"},
            pod_name="filesystems",
            resources=ContainerResources(limits=resources, requests=resources),
            tolerations=(Toleration(key="admin", operator="Exists"),),
        )
    )
    pod = builder.pod("admin")
    [container] = pod["spec"].pop("containers")
    assert pod["metadata"]["name"] == container["name"] == "filesystems"
    assert pod["metadata"]["annotations"]["example.org/team"] == "data"
    assert pod["spec"]["affinity"] == affinity
    assert pod["spec"]["nodeSelector"] == {"pool": "admin"}
    assert pod["spec"]["tolerations"] == [{"key": "admin", "operator": "Exists"}]
    assert container["resources"] == {
        "limits": resources.to_kubernetes(),
        "requests": resources.to_kubernetes(),
    }
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == [
        "/user-filesystems/home",
        "/user-filesystems/project",
        "/user-filesystems/scratch",
        "/user-filesystems/archive",
        "/user-filesystems/data",
    ]
    assert not any("readOnly" in mount for mount in container["volumeMounts"])
    names = [volume["name"] for volume in pod["spec"]["volumes"]]
    assert names == ["home", "scratch", "unused", "archive"]
    assert [claim["metadata"]["name"] for claim in builder.claims()] == [
        "filesystems-pvc-scratch",
        "filesystems-pvc-archive",
    ]
