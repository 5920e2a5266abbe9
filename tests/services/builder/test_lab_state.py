"""The state of a lab, rebuilt from its objects."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from nublado.exceptions import MalformedLabError
from nublado.models.domain.gafaelfawr import Group
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.lab import LabState, LabStatus
from nublado.models.domain.resources import Resources
from nublado.models.v1.lab import dump_lab_state
from nublado.services.builder.lab_state import internal_url, rebuild_state

if TYPE_CHECKING:
    from tests.services.builder.conftest import LabCase


@dataclass
class StoredLab:
    """The objects of a lab as they may be found in a cluster."""

    case: LabCase
    env: JSON
    pod: JSON
    quota: JSON | None

    @classmethod
    def of(cls, case: LabCase, phase: str = "Running") -> StoredLab:
        objects = case.build()
        quotas = [o for o in objects.others if o["kind"] == "ResourceQuota"]
        return cls(
            case=case,
            env=deepcopy(objects.env_config_map),
            pod=objects.pod | {"status": {"phase": phase}},
            quota=quotas[0] if quotas else None,
        )

    @property
    def notebook(self) -> JSON:
        container: JSON = self.pod["spec"]["containers"][0]
        return container

    def rebuild(self) -> LabState:
        return rebuild_state(
            self.case.config, self.case.user.username, self.env, self.pod, self.quota
        )


@pytest.fixture
def stored(full: LabCase) -> StoredLab:
    return StoredLab.of(full)


def test_rebuilt_state_shows_what_the_original_did(case: LabCase) -> None:
    initial = case.builder.pending_state(case.user.info, case.spec, case.image)
    original = replace(
        initial,
        status=LabStatus.RUNNING,
        internal_url=internal_url(
            case.builder.names(case.user.username), case.spec.env
        ),
    )
    rebuilt = StoredLab.of(case).rebuild()
    assert dump_lab_state(rebuilt) == dump_lab_state(original)
    with_ids = replace(original.user, groups=original.user.groups_with_id)
    assert rebuilt == replace(original, user=with_ids)


def test_url_is_withheld_while_the_lab_terminates(stored: StoredLab) -> None:
    assert stored.rebuild().internal_url
    stored.pod["metadata"]["deletionTimestamp"] = "2077-10-23T09:47:00Z"
    state = stored.rebuild()
    assert state.status is LabStatus.TERMINATING
    assert state.internal_url is None


def test_size_that_is_no_longer_configured_is_custom(stored: StoredLab) -> None:
    sizes = stored.case.config.sizes[:1]
    stored.case = replace(stored.case, config=replace(stored.case.config, sizes=sizes))
    state = stored.rebuild()
    assert state.options.size == "custom"
    assert state.resources.limits == Resources(2.5, 6_000_000_000)


def test_quota_is_understood_as_kubernetes_normalises_it(stored: StoredLab) -> None:
    assert stored.quota
    hard = {"limits.cpu": "9500m", "limits.memory": "27Gi", "pods": "1"}
    stored.quota["spec"]["hard"] = hard
    assert stored.rebuild().quota == Resources(9.5, 27 * 2**30)


# --- Labs of other versions ----------------------------------------------


def _no_record(lab: StoredLab) -> None:
    del lab.env["metadata"]["annotations"]


def _no_guarantees(lab: StoredLab) -> None:
    del lab.env["data"]["CPU_GUARANTEE"], lab.env["data"]["MEM_GUARANTEE"]


def _no_image_spec(lab: StoredLab) -> None:
    del lab.env["data"]["JUPYTER_IMAGE_SPEC"]


def _user_of_the_whole_pod(lab: StoredLab) -> None:
    context = lab.notebook.pop("securityContext")
    lab.pod["spec"]["securityContext"] |= {
        "runAsUser": context["runAsUser"],
        "runAsGroup": context["runAsGroup"],
    }


def _memory_as_float(lab: StoredLab) -> None:
    lab.env["data"]["MEM_LIMIT"] = "6000000000.0"


def _sidecar_first(lab: StoredLab) -> None:
    lab.pod["spec"]["containers"].insert(0, {"name": "sidecar", "image": "sidecar"})


@pytest.mark.parametrize(
    "change",
    [
        _no_record,
        _no_guarantees,
        _no_image_spec,
        _user_of_the_whole_pod,
        _memory_as_float,
        _sidecar_first,
    ],
)
def test_lab_of_another_version_has_the_same_state(
    stored: StoredLab, change: Callable[[StoredLab], None]
) -> None:
    before = stored.rebuild()
    change(stored)
    assert stored.rebuild() == before


def test_lab_without_what_is_optional_has_a_state(stored: StoredLab) -> None:
    del stored.pod["metadata"]["annotations"]
    del stored.env["data"]["JUPYTERHUB_SERVICE_PREFIX"]
    del stored.env["data"]["DEBUG"]
    stored.quota = None
    state = stored.rebuild()
    assert state.user.groups == ()
    assert state.user.name is None
    assert state.user.notebook_quota is None
    assert state.internal_url is None
    assert state.quota is None
    assert not state.options.enable_debug


def test_group_without_id_is_read(stored: StoredLab) -> None:
    annotations = stored.pod["metadata"]["annotations"]
    groups = '[{"name": "a"}, {"name": "b", "id": 2}]'
    annotations["nublado.lsst.io/user-groups"] = groups
    assert stored.rebuild().user.groups == (Group("a"), Group("b", 2))


# --- Labs that cannot be understood --------------------------------------


def _drop(name: str) -> Callable[[StoredLab], object]:
    return lambda lab: lab.env["data"].pop(name)


def _set(name: str, value: str) -> Callable[[StoredLab], object]:
    return lambda lab: lab.env["data"].update({name: value})


def _groups(text: str) -> Callable[[StoredLab], object]:
    annotation = {"nublado.lsst.io/user-groups": text}
    return lambda lab: lab.pod["metadata"]["annotations"].update(annotation)


def _hard(**limits: str) -> Callable[[StoredLab], object]:
    hard = {f"limits.{name}": value for name, value in limits.items()}
    return lambda lab: setattr(lab, "quota", {"spec": {"hard": hard}})


_ENV = "ConfigMap userlabs-rachel/rachel-nb-env: "
_POD = "Pod userlabs-rachel/rachel-nb: "
_QUOTA = "ResourceQuota userlabs-rachel/rachel-nb: "
_GROUPS = f"{_POD}annotation nublado.lsst.io/user-groups is not a list of groups: "


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lab: setattr(lab, "env", None), f"{_ENV}does not exist"),
        (lambda lab: lab.env.pop("data"), f"{_ENV}CPU_LIMIT is missing"),
        (_drop("MEM_LIMIT"), f"{_ENV}MEM_LIMIT is missing"),
        (_set("MEM_LIMIT", "3Gi"), f"{_ENV}MEM_LIMIT is not an amount: '3Gi'"),
        (_set("CPU_LIMIT", "-1"), f"{_ENV}CPU_LIMIT is not an amount: '-1'"),
        (_set("CPU_LIMIT", "nan"), f"{_ENV}CPU_LIMIT is not an amount: 'nan'"),
        (_set("MEM_LIMIT", "1e99"), f"{_ENV}MEM_LIMIT is not an amount: '1e99'"),
        (_set("MEM_GUARANTEE", ""), f"{_ENV}MEM_GUARANTEE is not an amount: ''"),
        (lambda lab: setattr(lab, "pod", None), f"{_POD}does not exist"),
        (lambda lab: lab.notebook.update(name="x"), f"{_POD}no container notebook"),
        (
            lambda lab: lab.notebook.pop("securityContext"),
            f"{_POD}no runAsUser of container notebook",
        ),
        (
            lambda lab: lab.notebook["securityContext"].pop("runAsGroup"),
            f"{_POD}no runAsGroup of container notebook",
        ),
        (_groups("rachel"), f"{_GROUPS}'rachel'"),
        (_groups("[1]"), f"{_GROUPS}'[1]'"),
        (_groups("1"), f"{_GROUPS}'1'"),
        (_groups('[{"id": 1}]'), _GROUPS + "'[{\"id\": 1}]'"),
        (_groups('[{"name": "a", "id": "b"}]'), _GROUPS),
        (_groups("[" * 100_000), _GROUPS),
        (_hard(cpu="1"), f"{_QUOTA}limits.memory is missing"),
        (_hard(cpu="lots", memory="1"), f"{_QUOTA}not a quantity: 'lots'"),
    ],
)
def test_malformed_lab_is_named_with_what_is_wrong(
    stored: StoredLab, change: Callable[[StoredLab], object], message: str
) -> None:
    change(stored)
    with pytest.raises(MalformedLabError) as caught:
        stored.rebuild()
    assert str(caught.value).startswith(message)
