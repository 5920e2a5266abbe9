"""All objects of a lab, and the checks before they are built."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nublado.config.model import (
    LabSizeDefinition,
    NSSConfig,
    TmpSource,
    VolumeMount,
)
from nublado.constants import ANNOTATION_SPAWN
from nublado.exceptions import (
    InsufficientQuotaError,
    InvalidLabSizeError,
    MalformedLabError,
    MissingSecretError,
)
from nublado.models.domain.gafaelfawr import (
    GafaelfawrUser,
    Group,
    NotebookQuota,
    UserInfo,
)
from nublado.models.domain.image import ImageSelection
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.lab import LabObjects, LabSpecification, LabStatus
from nublado.models.domain.resources import LabResources, Resources
from nublado.models.domain.spawn_record import SpawnRecord
from nublado.models.domain.volumes import file_volume_name
from nublado.services.builder.lab_environment import SET_BY_CONTROLLER
from nublado.services.observed.lab_state import internal_url

if TYPE_CHECKING:
    from tests.services.builder.conftest import LabCase

_OBJECTS = Path(__file__).parents[2] / "data" / "objects"
_DISCOVERY = "discovery-v1-json"
_MANY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def _text(objects: LabObjects) -> str:
    return json.dumps(objects.in_creation_order(), indent=2) + "\n"


def _find(objects: LabObjects, kind: str, name: str | None = None) -> JSON:
    for obj in objects.in_creation_order():
        if obj["kind"] == kind and name in (None, obj["metadata"]["name"]):
            return obj
    raise AssertionError(f"no {kind} {name}")


def _notebook(objects: LabObjects) -> Any:
    return objects.pod["spec"]["containers"][0]


# --- The objects ---------------------------------------------------------


def test_objects_are_as_written_down(case: LabCase, case_name: str) -> None:
    assert _text(case.build()) == (_OBJECTS / f"{case_name}.json").read_text()


def test_privileged_containers_get_nothing_that_the_user_chose(full: LabCase) -> None:
    harmful = ("LD_PRELOAD", "PYTHONPATH", "BASH_ENV", "PATH", "API_ROUTE_2")
    env = dict.fromkeys(harmful, "/home/rachel/evil.so")
    jupyterhub = {"JUPYTERHUB_HOST": "hub", "JPY_API_TOKEN": "token"}
    spec = replace(full.spec, env={**full.spec.env, **env, **jupyterhub})
    objects = replace(full, spec=spec).build()
    environment = _find(objects, "ConfigMap", "rachel-nb-env")["data"]
    assert set(harmful) < set(environment)
    for container in objects.pod["spec"]["initContainers"]:
        if not container["securityContext"].get("privileged"):
            continue
        assert "envFrom" not in container
        names = [variable["name"] for variable in container["env"]]
        assert not set(harmful) & set(names)
        assert {"API_ROUTE", "MEM_LIMIT", *jupyterhub} < set(names)
        assert set(names) - set(environment) == {
            "NUBLADO_HOME",
            "NUBLADO_UID",
            "NUBLADO_GID",
        }
        assert len(names) == len(set(names))


def test_controller_sets_just_the_variables_that_it_says(new_style: LabCase) -> None:
    spec = replace(new_style.spec, env={}, enable_debug=True, reset_user_env=True)
    objects = replace(new_style, spec=spec).build()
    environment = _find(objects, "ConfigMap", "rachel-nb-env")["data"]
    # JupyterHub's own come from the request otherwise.
    activity = {"JUPYTERHUB_ACTIVITY_INTERVAL"}
    assert set(environment) - set(new_style.config.env) - activity <= SET_BY_CONTROLLER
    assert set(environment) >= SET_BY_CONTROLLER | activity


def test_a_pull_secret_without_data_is_named(full: LabCase) -> None:
    metadata = {"name": "registry-pull", "namespace": "nublado"}
    case = replace(full, pull_secret={"metadata": metadata, "type": "Opaque"})
    with pytest.raises(MissingSecretError, match="nublado/registry-pull has no data"):
        case.build()


def test_building_twice_gives_the_same_bytes(case: LabCase) -> None:
    assert _text(case.build()) == _text(case.build())


def test_objects_share_nothing_that_can_change(case: LabCase) -> None:
    def deface(value: object) -> None:
        if isinstance(value, dict):
            for below in list(value.values()):
                deface(below)
            value["defaced"] = True
        elif isinstance(value, list):
            for below in value:
                deface(below)
            value.append("defaced")

    original = _text(case.build())
    for obj in case.build().in_creation_order():
        deface(obj)
    assert _text(case.build()) == original


def test_every_object_is_labelled_and_in_the_namespace(full: LabCase) -> None:
    for obj in full.build().in_creation_order():
        labels = obj["metadata"]["labels"]
        assert labels["nublado.lsst.io/category"] == "lab"
        assert labels["nublado.lsst.io/user"] == "rachel"
        assert labels["argocd.argoproj.io/instance"] == "nublado-users"
        assert obj["kind"] == "Namespace" or (
            obj["metadata"]["namespace"] == "userlabs-rachel"
        )


def test_order_of_creation_protects_what_completing_relies_on(full: LabCase) -> None:
    objects = full.build().in_creation_order()
    assert [(obj["kind"], obj["metadata"]["name"]) for obj in objects] == [
        ("Namespace", "userlabs-rachel"),
        ("Secret", "rachel-nb"),
        ("ConfigMap", "rachel-nb-env"),
        ("PersistentVolumeClaim", "rachel-nb-pvc-scratch"),
        ("PersistentVolumeClaim", "rachel-nb-pvc-cache"),
        ("ConfigMap", "rachel-nb-nss"),
        ("ConfigMap", "rachel-nb-files"),
        ("Secret", "pull-secret"),
        ("ResourceQuota", "rachel-nb"),
        ("NetworkPolicy", "rachel-nb"),
        ("Service", "lab"),
        ("Pod", "rachel-nb"),
    ]


def test_token_and_secrets_are_nowhere_but_in_secrets(full: LabCase) -> None:
    objects = full.build().in_creation_order()
    others = json.dumps([obj for obj in objects if obj["kind"] != "Secret"])
    encoded_token = "Z3QtcmFjaGVsLnNlY3JldA"
    for secret in ("gt-rachel.secret", encoded_token, "W2RlZmF1bHRd", "e30="):
        assert secret not in others
    assert "gt-rachel.secret" not in repr(full.user)


def test_unmounted_claim_is_neither_made_nor_in_the_pod(full: LabCase) -> None:
    text = _text(full.build())
    assert "pvc-scratch" in text
    assert "unused" not in text


def test_claim_that_only_an_init_container_mounts_is_made_once(full: LabCase) -> None:
    init = full.config.init_containers[1]
    twice = replace(
        init, volume_mounts=(*init.volume_mounts, VolumeMount("/again", "cache"))
    )
    config = replace(full.config, init_containers=(init, twice))
    objects = replace(full, config=config).build()
    names = [obj["metadata"]["name"] for obj in objects.others]
    assert names.count("rachel-nb-pvc-cache") == 1


def test_hub_is_let_in_from_any_namespace_and_others_from_their_own(
    full: LabCase,
) -> None:
    (rule,) = _find(full.build(), "NetworkPolicy")["spec"]["ingress"]
    hub, own = rule["from"]
    assert hub["namespaceSelector"] == {}
    assert hub["podSelector"] == {"matchLabels": {"app": "jupyterhub"}}
    assert "podSelector" not in own
    assert own["namespaceSelector"]["matchLabels"] == {
        "nublado.lsst.io/category": "lab",
        "nublado.lsst.io/user": "rachel",
    }


@pytest.mark.parametrize(
    ("source", "directory"),
    [
        (TmpSource.MEMORY, {"medium": "Memory", "sizeLimit": "1500000000"}),
        (TmpSource.DISK, {"sizeLimit": "1500000000"}),
    ],
)
def test_tmp_is_a_quarter_of_the_memory(
    full: LabCase, source: TmpSource, directory: JSON
) -> None:
    objects = replace(full, config=replace(full.config, tmp_source=source)).build()
    volumes = {volume["name"]: volume for volume in objects.pod["spec"]["volumes"]}
    assert volumes["tmp"]["emptyDir"] == directory


def test_file_key_is_derived_while_its_name_in_the_lab_is_kept(full: LabCase) -> None:
    path = "/opt/" + "Long_name." * 8
    config = replace(full.config, files={path: "text"})
    objects = replace(full, config=config).build()
    key = ("long-name-" * 8)[:63]
    assert _find(objects, "ConfigMap", "rachel-nb-files")["data"] == {key: "text"}
    (mount,) = [m for m in _notebook(objects)["volumeMounts"] if m["mountPath"] == path]
    assert mount["name"] == key
    assert mount["subPath"] == "Long_name." * 8


@pytest.mark.parametrize(
    "name", ["Rachel:x:0:0", "Rachel\nroot::0:0::/:/bin/sh", "\r\x00\x85\u2028", ":"]
)
def test_no_name_breaks_passwd(minimal: LabCase, name: str) -> None:
    user = replace(minimal.user, info=replace(minimal.user.info, name=name))
    passwd = _find(replace(minimal, user=user).build(), "ConfigMap", "ribbon-nb-nss")
    lines = passwd["data"]["passwd"].splitlines()
    assert len(lines) == 2
    fields = lines[1].split(":")
    assert len(fields) == 7
    assert fields[:4] == ["ribbon", "x", "1102", "1102"]
    assert fields[5:] == ["/home/ribbon", "/bin/bash"]


def test_base_files_without_last_newline_keep_their_last_line(
    minimal: LabCase,
) -> None:
    nss = NSSConfig(base_passwd="root:x:0:0:::", base_group="")
    objects = replace(minimal, config=replace(minimal.config, nss=nss)).build()
    data = _find(objects, "ConfigMap", "ribbon-nb-nss")["data"]
    assert data["passwd"].startswith("root:x:0:0:::\nribbon:")
    assert data["group"] == ""


def test_fractional_quota_is_whole_bytes(full: LabCase) -> None:
    info = replace(full.user.info, notebook_quota=NotebookQuota(1, 1.7))
    objects = replace(full, user=replace(full.user, info=info)).build()
    assert _find(objects, "ResourceQuota")["spec"]["hard"] == {
        "limits.cpu": "1.0",
        "limits.memory": str(int(1.7 * 2**30)),
    }


# --- Labs in the style of 15.1 --------------------------------------------


def _init_containers(objects: LabObjects) -> list[Any]:
    return [*objects.pod["spec"].get("initContainers", ())]


def test_standard_containers_run_around_the_configured_ones(new_style: LabCase) -> None:
    containers = _init_containers(new_style.build())
    assert [(c["name"], c.get("command")) for c in containers] == [
        ("nublado-std-inithome", ["nublado", "inithome"]),
        ("site-setup", ["/usr/bin/site-setup", "--quiet"]),
        ("nublado-std-landingpage", ["nublado", "landingpage"]),
        ("nublado-std-startup", ["nublado", "startup"]),
    ]
    standard = [c for c in containers if c["name"] != "site-setup"]
    assert {c["image"] for c in standard} == {"example.org/nublado:15.1.0"}
    privileged = [c["securityContext"].get("privileged", False) for c in containers]
    assert privileged == [True, False, False, False]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"standard_containers": False}, ["site-setup"]),
        (
            {"standard_inithome": False, "env": {"RSP_SITE_TYPE": "staff"}},
            ["site-setup", "nublado-std-startup"],
        ),
        ({"env": {}}, ["nublado-std-inithome", "site-setup", "nublado-std-startup"]),
    ],
)
def test_standard_containers_are_those_that_are_asked_for(
    new_style: LabCase, changes: dict[str, Any], names: list[str]
) -> None:
    objects = replace(new_style, config=replace(new_style.config, **changes)).build()
    assert [c["name"] for c in _init_containers(objects)] == names
    volumes = [volume["name"] for volume in objects.pod["spec"]["volumes"]]
    assert ("lab-startup" in volumes) == ("nublado-std-startup" in names)


def test_container_that_makes_homes_gets_nothing_that_the_user_chose(
    new_style: LabCase,
) -> None:
    harmful = {"LD_PRELOAD": "/home/rachel/evil.so", "CST_LANDING_PAGE_SRC_DIR": "/etc"}
    spec = replace(new_style.spec, env={**new_style.spec.env, **harmful})
    inithome = _init_containers(replace(new_style, spec=spec).build())[0]
    assert "envFrom" not in inithome
    names = [variable["name"] for variable in inithome["env"]]
    assert not set(harmful) & set(names)
    assert {"NUBLADO_HOME", "NUBLADO_UID", "NUBLADO_GID", "API_ROUTE"} < set(names)
    assert [mount["mountPath"] for mount in inithome["volumeMounts"]] == ["/home"]
    assert inithome["securityContext"]["runAsUser"] == 0


def test_startup_container_has_what_the_lab_has(new_style: LabCase) -> None:
    objects = new_style.build()
    startup, notebook = _init_containers(objects)[-1], _notebook(objects)

    def paths(container: JSON) -> list[str]:
        return [mount["mountPath"] for mount in container["volumeMounts"]]

    assert paths(startup) == paths(notebook)
    assert startup["securityContext"] == notebook["securityContext"]
    names = [variable["name"] for variable in startup["env"]]
    assert names == [
        "NUBLADO_HOME",
        "NUBLADO_UID",
        "NUBLADO_GID",
        "ACCESS_TOKEN",
        "NUBLADO_TOKEN",
    ]


def test_only_init_containers_may_write_how_the_lab_starts(new_style: LabCase) -> None:
    objects = new_style.build()
    read_only = {
        container["name"]: mount.get("readOnly", False)
        for container in [*_init_containers(objects), _notebook(objects)]
        for mount in container["volumeMounts"]
        if mount["mountPath"] == "/etc/nublado/startup"
    }
    assert read_only == {
        "nublado-std-landingpage": False,
        "nublado-std-startup": False,
        "notebook": True,
    }


def test_startup_directory_is_mounted_before_single_secrets(full: LabCase) -> None:
    config = replace(full.config, standard_containers=True)
    objects = replace(full, config=config).build()
    paths = [mount["mountPath"] for mount in _notebook(objects)["volumeMounts"]]
    secrets = [s.path for s in config.secrets if s.path]
    assert paths[-len(secrets) - 2 :] == [
        "/opt/runtime/runtime",
        "/etc/nublado/startup",
        *secrets,
    ]


def test_discovery_is_a_file_beside_the_configured_ones(full: LabCase) -> None:
    platform = replace(full.platform, repertoire_url="https://data.example.org/r")
    objects = replace(full, platform=platform, discovery='{"a": 1}').build()
    data = _find(objects, "ConfigMap", "rachel-nb-files")["data"]
    assert list(data) == [*(file_volume_name(p) for p in full.config.files), _DISCOVERY]
    assert data[_DISCOVERY] == '{"a": 1}'
    environment = _find(objects, "ConfigMap", "rachel-nb-env")["data"]
    assert environment["REPERTOIRE_BASE_URL"] == "https://data.example.org/r"


def test_labs_have_the_discovery_file_even_if_nothing_has_been_discovered(
    minimal: LabCase,
) -> None:
    platform = replace(minimal.platform, repertoire_url="https://data.example.org/r")
    objects = replace(minimal, platform=platform).build()
    files = _find(objects, "ConfigMap", "ribbon-nb-files")
    assert files["data"] == {_DISCOVERY: "{}"}
    (mount,) = [
        m for m in _notebook(objects)["volumeMounts"] if m["name"] == _DISCOVERY
    ]
    assert mount["mountPath"] == "/etc/nublado/discovery/v1.json"
    assert mount["readOnly"]


def test_without_a_discovery_service_labs_have_no_trace_of_it(minimal: LabCase) -> None:
    text = _text(replace(minimal, discovery="{}").build())
    assert "discovery" not in text
    assert "REPERTOIRE" not in text


def test_activity_interval_overrides_that_of_jupyterhub(full: LabCase) -> None:
    spec = replace(full.spec, env={"JUPYTERHUB_ACTIVITY_INTERVAL": "300"})
    case = replace(full, spec=spec)
    for interval, seconds in ((None, "300"), (90.5, "90")):
        config = replace(full.config, activity_interval=interval)
        objects = replace(case, config=config).build()
        environment = _find(objects, "ConfigMap", "rachel-nb-env")["data"]
        assert environment["JUPYTERHUB_ACTIVITY_INTERVAL"] == seconds


def test_namespace_annotations_follow_those_of_argo_cd(full: LabCase) -> None:
    templates = {"example.org/owner": "{{ uid }}:{{ gid }}"}
    config = replace(full.config, namespace_annotations=templates)
    namespace = replace(full, config=config).build().namespace
    assert list(namespace["metadata"]["annotations"].items())[2:] == [
        ("example.org/owner", "1101:1101")
    ]


def test_resources_are_those_of_the_size(new_style: LabCase) -> None:
    objects = new_style.build()
    resources = {
        "limits": {"cpu": "2.0", "memory": str(8 * 2**30)},
        "requests": {"cpu": "0.5", "memory": str(2 * 2**30)},
    }
    for container in [*_init_containers(objects), _notebook(objects)]:
        assert container["resources"] == resources
    environment = _find(objects, "ConfigMap", "rachel-nb-env")["data"]
    assert environment["CPU_GUARANTEE"] == "0.5"
    assert environment["MEM_GUARANTEE"] == str(2 * 2**30)
    assert environment["CONTAINER_SIZE"] == "Medium (2.0 CPU, 8Gi RAM)"
    (tmp,) = [v for v in objects.pod["spec"]["volumes"] if v["name"] == "tmp"]
    assert tmp["emptyDir"]["sizeLimit"] == str(2 * 2**30)


# --- Completing ----------------------------------------------------------

_NAMES = st.from_regex(r"[a-z][a-z0-9]{0,10}", fullmatch=True)
_USERS = st.builds(
    UserInfo,
    username=_NAMES,
    uid=st.integers(0, 2**31 - 1),
    gid=st.integers(0, 2**31 - 1),
    name=st.none() | st.text(min_size=1),
    groups=st.lists(
        st.builds(Group, _NAMES, st.none() | st.integers(0, 2**31 - 1))
    ).map(tuple),
    notebook_quota=st.none()
    | st.builds(
        NotebookQuota,
        cpu=st.floats(0, 1000),
        memory_gib=st.floats(0, 1000),
        spawn=st.booleans(),
    ),
)
_SPECIFICATIONS = st.builds(
    LabSpecification,
    size=st.sampled_from(["small", "medium"]),
    image=st.just(ImageSelection(image_tag="tag")),
    enable_debug=st.booleans(),
    reset_user_env=st.booleans(),
    env=st.dictionaries(st.sampled_from(["A", "CPU_LIMIT", "DEBUG"]), st.text()),
)


@_MANY
@given(
    user=_USERS,
    spec=_SPECIFICATIONS,
    cpu=st.floats(0.001, 1024),
    memory=st.integers(1, 2**61),
)
def test_completing_builds_what_building_did(
    full: LabCase, user: UserInfo, spec: LabSpecification, cpu: float, memory: int
) -> None:
    sizes = tuple(
        LabSizeDefinition(
            size, LabResources.from_limits(Resources(cpu, memory)), str(memory)
        )
        for size in ("small", "medium")
    )
    case = replace(
        full,
        config=replace(full.config, sizes=sizes),
        user=GafaelfawrUser(user, "gt-token"),
        spec=spec,
    )
    objects = case.build()
    # As another process reads it: in no particular order.
    stored = json.loads(json.dumps(objects.env_config_map, sort_keys=True))
    record = SpawnRecord.from_json(stored["metadata"]["annotations"][ANNOTATION_SPAWN])
    completed = case.builder.complete(record, stored["data"], case.pull_secret)
    assert json.dumps([*completed.others, completed.pod]) == json.dumps(
        [*objects.others, objects.pod]
    )


def test_completing_keeps_the_resources_of_the_time(full: LabCase) -> None:
    objects = full.build()
    annotations = objects.env_config_map["metadata"]["annotations"]
    record = SpawnRecord.from_json(annotations[ANNOTATION_SPAWN])
    sizes = (
        LabSizeDefinition(
            "tiny", LabResources.from_limits(Resources(0.5, 1024)), "1Ki"
        ),
    )
    later = replace(full, config=replace(full.config, sizes=sizes)).builder
    completed = later.complete(record, objects.env_config_map["data"], full.pull_secret)
    assert completed == objects.remaining


def test_completing_needs_the_limits(full: LabCase) -> None:
    record = SpawnRecord.from_json(
        full.build().env_config_map["metadata"]["annotations"][ANNOTATION_SPAWN]
    )
    with pytest.raises(MalformedLabError, match="CPU_LIMIT is missing"):
        full.builder.complete(record, {"MEM_LIMIT": "1"}, None)


# --- Checks and states ---------------------------------------------------


def test_unconfigured_size_is_refused(minimal: LabCase) -> None:
    builder = minimal.builder
    spec = replace(minimal.spec, size="gargantuan")
    attempts: list[Callable[[], object]] = [
        lambda: builder.check_quota(minimal.user.info, "gargantuan"),
        lambda: builder.pending_state(minimal.user.info, spec, minimal.image),
        replace(minimal, spec=spec).build,
    ]
    for attempt in attempts:
        with pytest.raises(InvalidLabSizeError) as caught:
            attempt()
        assert str(caught.value) == 'Invalid lab size "gargantuan"'
        assert caught.value.location == ["body", "options", "size"]


@pytest.mark.parametrize(
    ("quota", "allowed"),
    [
        (None, True),
        (NotebookQuota(1.0, 3.0), True),
        (NotebookQuota(0.9, 3.0), False),
        (NotebookQuota(1.0, 2.99), False),
        (NotebookQuota(9.0, 27.0, spawn=False), False),
    ],
)
def test_quota_limits_the_size(
    minimal: LabCase, quota: NotebookQuota | None, allowed: bool
) -> None:
    user = replace(minimal.user.info, notebook_quota=quota)
    if allowed:
        minimal.builder.check_quota(user, "small")
        return
    with pytest.raises(InsufficientQuotaError) as caught:
        minimal.builder.check_quota(user, "small")
    assert str(caught.value) == "Insufficient quota to spawn requested lab"
    assert caught.value.location == ["body", "options", "size"]


def test_pending_state_is_pending_and_has_no_url(full: LabCase) -> None:
    state = full.builder.pending_state(full.user.info, full.spec, full.image)
    assert state.status is LabStatus.PENDING
    assert state.internal_url is None
    assert state.resources.requests.memory == 1_500_000_000
    assert state.quota is not None
    assert state.quota.memory == 28991029248


def test_internal_url_needs_the_service_prefix(full: LabCase) -> None:
    names = full.builder.names("rachel")
    url = "http://lab.userlabs-rachel:8888/nb/user/rachel/"
    assert internal_url(names, full.spec.env) == url
    assert internal_url(names, {}) is None


def test_defaults_leave_out_what_is_not_configured(minimal: LabCase) -> None:
    spec = minimal.build().pod["spec"]
    for absent in (
        "affinity",
        "imagePullSecrets",
        "initContainers",
        "nodeSelector",
        "securityContext",
        "tolerations",
    ):
        assert absent not in spec
