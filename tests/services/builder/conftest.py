"""Two deployments' labs: one with every feature, one with the defaults."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nublado.config import load
from nublado.config.model import (
    AccessMode,
    ContainerImage,
    HomedirSchema,
    HostPathSource,
    InitContainer,
    LabConfig,
    LabSecret,
    LabSizeDefinition,
    NFSSource,
    NSSConfig,
    PullPolicy,
    PVCSource,
    TmpSource,
    Toleration,
    Volume,
    VolumeMount,
)
from nublado.config.platform import Platform
from nublado.models.domain.gafaelfawr import (
    GafaelfawrUser,
    Group,
    NotebookQuota,
    UserInfo,
)
from nublado.models.domain.image import ImageSelection, ResolvedImage
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.lab import LabObjects, LabSpecification
from nublado.models.domain.resources import LabResources, Resources
from nublado.services.builder.lab import LabBuilder

_CONFIGS = Path(__file__).parents[2] / "data" / "configs"
_SMALL = LabSizeDefinition(
    "small", LabResources.from_limits(Resources(1.0, 3 * 2**30)), "3Gi"
)
_MEDIUM = LabSizeDefinition(
    "medium", LabResources.from_limits(Resources(2.5, 6_000_000_000)), "6G"
)

PLATFORM = Platform(
    "https://data.example.org", ContainerImage("example.org/nublado", "15.1.0")
)


@dataclass(frozen=True)
class LabCase:
    """Everything that a lab is built from."""

    config: LabConfig
    user: GafaelfawrUser
    spec: LabSpecification
    image: ResolvedImage
    secrets: dict[str, dict[str, str]]
    pull_secret: JSON | None = None
    platform: Platform = PLATFORM
    discovery: str | None = None

    @property
    def builder(self) -> LabBuilder:
        return LabBuilder(self.config, self.platform)

    def build(self) -> LabObjects:
        return self.builder.build(
            self.user,
            self.spec,
            self.image,
            self.secrets,
            self.pull_secret,
            self.discovery,
        )


IMAGE = ResolvedImage(
    reference="registry.example.org/lab/sketchbook:w_2077_43",
    digest="sha256:" + "5dbe" * 16,
    tag="w_2077_43",
    display_name="Weekly 2077_43",
)

MINIMAL = LabCase(
    config=LabConfig(namespace_prefix="userlabs", sizes=(_SMALL,)),
    user=GafaelfawrUser(UserInfo("ribbon", 1102, 1102), "gt-ribbon.secret"),
    spec=LabSpecification(
        size="small",
        image=ImageSelection(image_tag="w_2077_43"),
        env={"JUPYTERHUB_SERVICE_PREFIX": "/nb/user/ribbon/"},
    ),
    image=IMAGE,
    secrets={},
)

_FULL_CONFIG = LabConfig(
    namespace_prefix="userlabs",
    sizes=(_SMALL, _MEDIUM),
    application="nublado-users",
    affinity={
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 10,
                    "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname"},
                }
            ]
        }
    },
    env={"API_ROUTE": "/api", "JUPYTERLAB_CONFIG_DIR": "/opt/overridden"},
    extra_annotations={"k8s.v1.cni.cncf.io/networks": "kube-system/dds"},
    files={
        "/opt/lsst/software/jupyterlab/lsst_dask.yml": "dask: true\n",
        "/etc/Panda.cfg": "[panda]\n",
    },
    homedir_prefix="/u/home",
    homedir_schema=HomedirSchema.INITIAL_THEN_USERNAME,
    homedir_suffix="jhome",
    init_containers=(
        InitContainer(
            name="inithome",
            image=ContainerImage("example.org/inithome", "1.2", PullPolicy.ALWAYS),
            privileged=True,
            volume_mounts=(VolumeMount("/home", "home"),),
        ),
        InitContainer(
            name="landing",
            image=ContainerImage("example.org/landing", "3"),
            volume_mounts=(VolumeMount("/cache", "cache", read_only=True),),
        ),
        InitContainer(name="check", image=ContainerImage("example.org/check", "4")),
    ),
    lab_start_command=("/bin/sh", "-c", "exec run lab"),
    runtime_mounts_dir="/opt/runtime",
    node_selector={"disk": "ssd"},
    nss=NSSConfig(base_passwd="root:x:0:0::/root:/bin/sh\n", base_group="root:x:0:\n"),
    pull_secret="registry-pull",
    secrets=(
        LabSecret("nublado-lab-secret", "aws", path="/opt/secrets/aws.ini"),
        LabSecret("nublado-lab-secret", "password", env="PGPASSWORD"),
        LabSecret("other-secret", "quiet"),
    ),
    tmp_source=TmpSource.DISK,
    tolerations=(Toleration("dedicated", "Equal", "labs", "NoSchedule"),),
    volumes=(
        Volume("home", NFSSource("10.0.0.1", "/share/home")),
        Volume("project", NFSSource("10.0.0.1", "/share/project", read_only=True)),
        Volume("data", HostPathSource("/data")),
        Volume(
            "scratch",
            PVCSource(
                (AccessMode.READ_WRITE_MANY,),
                "sdf-home",
                {"requests": {"storage": "1Gi"}},
            ),
        ),
        Volume(
            "cache",
            PVCSource(
                (AccessMode.READ_ONLY_MANY,),
                "fast",
                {"requests": {"storage": "5Gi"}},
                read_only=True,
            ),
        ),
        Volume(
            "unused",
            PVCSource(
                (AccessMode.READ_WRITE_ONCE,), "fast", {"requests": {"storage": "1"}}
            ),
        ),
    ),
    volume_mounts=(
        VolumeMount("/u/home", "home"),
        VolumeMount("/project", "project", sub_path="shared", read_only=True),
        VolumeMount("/scratch", "scratch"),
        VolumeMount("/data", "data"),
        VolumeMount("/scratch2", "scratch", sub_path="two"),
    ),
)

FULL = LabCase(
    config=_FULL_CONFIG,
    user=GafaelfawrUser(
        UserInfo(
            username="rachel",
            uid=1101,
            gid=1101,
            name="Rachel: the\nFirst",
            groups=(
                Group("rachel", 1101),
                Group("no-gid-group"),
                Group("lunatics", 2028),
            ),
            notebook_quota=NotebookQuota(cpu=9.0, memory_gib=27.0),
        ),
        "gt-rachel.secret",
    ),
    spec=LabSpecification(
        size="medium",
        image=ImageSelection(image_tag="w_2077_43"),
        enable_debug=True,
        reset_user_env=True,
        env={
            "JUPYTERHUB_SERVICE_PREFIX": "/nb/user/rachel/",
            "API_ROUTE": "overridden",
            "MEM_LIMIT": "overridden",
        },
    ),
    image=IMAGE,
    secrets={
        "nublado-lab-secret": {"aws": "W2RlZmF1bHRdCg==", "password": "/wA="},
        "other-secret": {"quiet": ""},
    },
    pull_secret={
        "metadata": {"name": "registry-pull", "namespace": "nublado", "uid": "1"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": "e30="},
    },
)

NEW_STYLE = LabCase(
    config=load(_CONFIGS / "new-style.yaml").lab,
    user=FULL.user,
    spec=LabSpecification(
        size="medium",
        image=ImageSelection(image_tag="w_2077_43"),
        env={
            "JUPYTERHUB_SERVICE_PREFIX": "/nb/user/rachel/",
            "JUPYTERHUB_ACTIVITY_INTERVAL": "300",
            "LD_PRELOAD": "/home/rachel/mine.so",
        },
    ),
    image=IMAGE,
    secrets={},
    platform=replace(PLATFORM, repertoire_url="https://data.example.org/repertoire"),
    discovery='{"services": {}}',
)

_CASES = {"minimal": MINIMAL, "full": FULL, "new-style": NEW_STYLE}


@pytest.fixture(params=_CASES)
def case_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def case(case_name: str) -> LabCase:
    return _CASES[case_name]


@pytest.fixture
def full() -> LabCase:
    return FULL


@pytest.fixture
def new_style() -> LabCase:
    return NEW_STYLE


@pytest.fixture
def minimal() -> LabCase:
    return MINIMAL
