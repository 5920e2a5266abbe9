"""What a reconciliation makes of each lab, decided without a cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nublado.config import load
from nublado.constants import CATEGORY_LAB, LABEL_CATEGORY
from nublado.models.domain.gafaelfawr import UserInfo
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.lab import (
    LabOptions,
    LabState,
    LabStatus,
)
from nublado.models.domain.resources import LabResources, Resources
from nublado.services.lab.find import FoundLab
from nublado.services.lab.reconcile import (
    Adopt,
    Fail,
    Follow,
    Leave,
    Remove,
    Verdict,
    judge,
)
from tests.cluster import CONFIG as CONFIG_FILE

CONFIG = load(CONFIG_FILE).lab
SOME = Resources(1.0, 1024)
KNOWN = LabState(
    user=UserInfo(username="rachel", uid=1, gid=1),
    options=LabOptions(image="example.org/lab:w_2026_45", size="small"),
    status=LabStatus.RUNNING,
    internal_url="http://lab",
    resources=LabResources(limits=SOME, requests=SOME),
)
ENV: JSON = {
    "metadata": {"name": "rachel-nb-env", "annotations": {}},
    "data": {"CPU_LIMIT": "1.0", "MEM_LIMIT": "1024", "JUPYTER_IMAGE_SPEC": "x"},
}


def namespace(**metadata: Any) -> JSON:
    created = {
        "creationTimestamp": "2026-11-25T12:00:00Z",
        "labels": {LABEL_CATEGORY: CATEGORY_LAB},
    }
    return {"metadata": {"name": "userlabs-rachel", **created, **metadata}}


def pod(phase: str) -> JSON:
    context = {"runAsUser": 1, "runAsGroup": 1}
    return {
        "metadata": {"name": "rachel-nb", "uid": "u"},
        "spec": {"containers": [{"name": "notebook", "securityContext": context}]},
        "status": {"phase": phase},
    }


def verdict(known: LabStatus | None, **parts: Any) -> Verdict:
    found = FoundLab(
        **{
            "username": "rachel",
            "namespace": namespace(),
            "env_config_map": ENV,
            "pod": None,
            "quota": None,
            "deletion_mark": None,
            **parts,
        }
    )
    return judge(CONFIG, found, replace(KNOWN, status=known) if known else None)


def test_a_lab_of_which_nothing_is_left() -> None:
    assert judge(CONFIG, None, None) == Leave()
    gone = judge(CONFIG, None, KNOWN)
    assert isinstance(gone, Fail)
    assert (gone.state.status, gone.state.internal_url) == (LabStatus.FAILED, None)
    assert isinstance(judge(CONFIG, None, gone.state), Remove)


def test_a_namespace_that_terminates_is_only_removed_for_a_lab_that_is_known() -> None:
    doomed = namespace(deletionTimestamp="2026-11-25T12:00:00Z")
    assert verdict(None, namespace=doomed) == Leave()
    assert isinstance(verdict(LabStatus.RUNNING, namespace=doomed), Remove)


def test_a_lab_without_environment_or_record_is_removed() -> None:
    lost = Remove("environment is missing", lost=True)
    assert verdict(None, env_config_map=None) == lost
    failed = verdict(LabStatus.FAILED, env_config_map=None)
    assert failed == Remove("environment is missing")
    assert verdict(None) == Remove("pod is missing")


@pytest.mark.parametrize("known", [None, *LabStatus])
def test_a_running_pod_is_adopted_whatever_was_known(known: LabStatus | None) -> None:
    judged = verdict(known, pod=pod("Running"))
    assert isinstance(judged, Adopt)
    assert judged.state.status is LabStatus.RUNNING


def test_a_pending_pod_is_followed_unless_its_spawn_has_failed() -> None:
    assert isinstance(verdict(None, pod=pod("Pending")), Follow)
    failed = verdict(LabStatus.FAILED, pod=pod("Pending"))
    assert failed == Remove("spawn has failed")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_an_ended_pod_is_removed(phase: str) -> None:
    judged = verdict(None, pod=pod(phase))
    assert isinstance(judged, Remove)
    assert judged.state is not None
    assert judged.state.status is LabStatus.TERMINATED


def test_a_malformed_lab_is_reported_and_removed_only_if_its_pod_has_ended() -> None:
    broken = {**ENV, "data": {}}
    judged = verdict(None, env_config_map=broken, pod=pod("Running"))
    assert isinstance(judged, Leave)
    assert "CPU_LIMIT is missing" in str(judged.error)
    judged = verdict(None, env_config_map=broken, pod=pod("Failed"))
    assert isinstance(judged, Remove)
    assert "CPU_LIMIT is missing" in str(judged.error)


def test_a_running_pod_without_environment_is_kept_and_reported() -> None:
    judged = verdict(None, env_config_map=None, pod=pod("Running"))
    assert isinstance(judged, Leave)
    assert "environment is missing" in str(judged.error)
    judged = verdict(None, env_config_map=None, pod=pod("Pending"))
    assert judged == Remove("environment is missing")


@pytest.mark.parametrize("known", [None, *LabStatus])
def test_a_deletion_that_was_cut_off_goes_on(known: LabStatus | None) -> None:
    judged = verdict(known, pod=pod("Running"), deletion_mark={"metadata": {}})
    assert judged == Remove("deletion was cut off")


@pytest.mark.parametrize("known", [None, *LabStatus])
@pytest.mark.parametrize("phase", [None, "Pending", "Running", "Failed"])
@pytest.mark.parametrize("marks", [{}, {"deletionTimestamp": "2026-11-25T12:00:00Z"}])
def test_nothing_is_done_to_the_namespace_of_somebody_else(
    known: LabStatus | None, phase: str | None, marks: dict[str, str]
) -> None:
    parts = {"pod": pod(phase)} if phase else {"env_config_map": None}
    judged = verdict(known, namespace=namespace(labels={}, **marks), **parts)
    assert isinstance(judged, Leave | Fail)
    is_active = known not in (None, LabStatus.FAILED, LabStatus.TERMINATED)
    assert isinstance(judged, Fail) == (is_active and phase != "Running")
