"""Objects of file servers, compared with what is expected."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nublado.config.model import (
    AccessMode,
    ContainerImage,
    ContainerResources,
    FileserverConfig,
    HostPathSource,
    NFSSource,
    PullPolicy,
    PVCSource,
    Toleration,
    Volume,
    VolumeMount,
)
from nublado.config.platform import Platform
from nublado.models.domain.gafaelfawr import Group, UserInfo
from nublado.models.domain.resources import Resources
from nublado.services.builder.fileserver import FileserverBuilder

_EXPECTED = Path(__file__).parent.parent.parent / "data" / "objects"
_PLATFORM = Platform(
    "https://data.example.org", ContainerImage("example.org/nublado", "15.1.0")
)
_VOLUMES = (
    Volume("home", NFSSource("10.0.0.1", "/share1/home")),
    Volume(
        "scratch",
        PVCSource(
            (AccessMode.READ_WRITE_MANY,), "fast", {"requests": {"storage": "1Gi"}}
        ),
    ),
    Volume("unused", HostPathSource("/data")),
)
_MINIMAL = FileserverConfig(
    namespace="files",
    image=ContainerImage("ghcr.io/example/worblehat", "0.1.0"),
    volume_mounts=(VolumeMount("/home", "home"),),
)
_FULL = FileserverConfig(
    namespace="fileservers",
    image=ContainerImage("ghcr.io/example/worblehat", "0.2.0", PullPolicy.ALWAYS),
    path_prefix="/data/files",
    application="nublado-fileservers",
    affinity={
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "gpu", "operator": "DoesNotExist"}]}
                ]
            }
        }
    },
    extra_annotations={"example.org/team": "data"},
    node_selector={"pool": "files"},
    tolerations=(Toleration(key="files", operator="Exists"),),
    volume_mounts=(
        VolumeMount("/home", "home", read_only=True),
        VolumeMount("/scratch", "scratch", sub_path="users"),
    ),
    resources=ContainerResources(
        limits=Resources(1.0, 10 * 2**30), requests=Resources(0.1, 2**30)
    ),
    idle_timeout=5400.9,
)
_RACHEL = UserInfo(
    "rachel",
    1101,
    1102,
    groups=(Group("rachel", 1102), Group("no-gid"), Group("astro", 5000)),
)


@pytest.mark.parametrize(
    ("config", "user", "name"),
    [
        (_MINIMAL, UserInfo("rachel", 1101, 1101), "fileserver-minimal"),
        (_FULL, _RACHEL, "fileserver-full"),
    ],
)
def test_objects(config: FileserverConfig, user: UserInfo, name: str) -> None:
    builder = FileserverBuilder(config, _VOLUMES, _PLATFORM)
    expected = json.loads((_EXPECTED / f"{name}.json").read_text())
    assert list(builder.build(user)) == expected


def test_without_an_image_the_one_of_the_controller_is_run() -> None:
    config = replace(_MINIMAL, image=None)
    objects = FileserverBuilder(config, _VOLUMES, _PLATFORM).build(_RACHEL)
    (container,) = objects.job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "example.org/nublado:15.1.0"
    assert container["command"] == ["/usr/local/bin/worblehat"]


def test_url_is_below_the_prefix() -> None:
    builder = FileserverBuilder(_FULL, _VOLUMES, _PLATFORM)
    assert builder.url("rachel") == "https://data.example.org/data/files/rachel"
