"""What the status of a pod tells."""

from __future__ import annotations

import pytest

from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.lab import LabStatus
from nublado.models.domain.pod import PodNotice
from nublado.services.observed.pod_status import (
    describe_pod_end,
    status_of_pod,
    waiting_notices,
)


def _pod(**status: object) -> JSON:
    return {"metadata": {"name": "rachel-nb"}, "spec": {}, "status": status}


def _waiting(name: str, reason: str, message: str | None = None) -> JSON:
    waiting = {"reason": reason} | ({"message": message} if message else {})
    return {"name": name, "state": {"waiting": waiting}}


def _terminated(name: str, code: int, **more: object) -> JSON:
    return {"name": name, "state": {"terminated": {"exitCode": code, **more}}}


@pytest.mark.parametrize(
    ("phase", "status"),
    [
        ("Pending", LabStatus.PENDING),
        ("Unknown", LabStatus.PENDING),
        ("SomethingNew", LabStatus.PENDING),
        ("Running", LabStatus.RUNNING),
        ("Succeeded", LabStatus.TERMINATED),
        ("Failed", LabStatus.TERMINATED),
    ],
)
def test_status_follows_the_phase(phase: str, status: LabStatus) -> None:
    assert status_of_pod(_pod(phase=phase)) is status


def test_pod_without_status_is_pending() -> None:
    assert status_of_pod({"metadata": {}}) is LabStatus.PENDING
    assert waiting_notices({"metadata": {}}) == []


def test_pod_that_is_being_deleted_terminates() -> None:
    pod = _pod(phase="Running")
    pod["metadata"]["deletionTimestamp"] = "2077-10-23T09:47:00Z"
    assert status_of_pod(pod) is LabStatus.TERMINATING


@pytest.mark.parametrize(
    ("pod", "text"),
    [
        (
            _pod(
                phase="Failed",
                initContainerStatuses=[_terminated("inithome", 0, reason="Completed")],
                containerStatuses=[_terminated("notebook", 137, reason="OOMKilled")],
            ),
            "Lab pod failed: container notebook exited with code 137 (OOMKilled)",
        ),
        (
            _pod(
                phase="Failed",
                reason="Evicted",
                message="The node was low on resource: memory.",
            ),
            "Lab pod failed: Evicted: The node was low on resource: memory.",
        ),
        (
            _pod(
                phase="Failed",
                initContainerStatuses=[
                    _terminated("inithome", 1, message="no such home\n")
                ],
                containerStatuses=[_waiting("notebook", "PodInitializing")],
            ),
            "Lab pod failed: container inithome exited with code 1: no such home",
        ),
        (
            _pod(
                phase="Succeeded",
                containerStatuses=[_terminated("notebook", 0, reason="Completed")],
            ),
            "Lab pod ended: container notebook exited with code 0 (Completed)",
        ),
        (_pod(phase="Failed"), "Lab pod failed"),
    ],
)
def test_end_of_a_pod_is_described(pod: JSON, text: str) -> None:
    assert describe_pod_end(pod) == text


def test_long_message_of_a_container_keeps_its_end() -> None:
    ended = _terminated("notebook", 1, message="x" * 4000 + " the reason")
    text = describe_pod_end(_pod(phase="Failed", containerStatuses=[ended]))
    assert len(text) < 600
    assert text.endswith("the reason")


@pytest.mark.parametrize(
    ("pod", "notices"),
    [
        (_pod(phase="Pending"), []),
        (
            _pod(
                phase="Pending",
                conditions=[{"type": "PodScheduled", "status": "True"}],
                initContainerStatuses=[_waiting("inithome", "PodInitializing")],
                containerStatuses=[_waiting("notebook", "ContainerCreating")],
            ),
            [],
        ),
        (
            _pod(
                conditions=[
                    {"type": "Ready", "status": "False", "message": "not ready"},
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/3 nodes are available",
                    },
                ]
            ),
            [PodNotice("FailedScheduling", "0/3 nodes are available")],
        ),
        (
            _pod(
                initContainerStatuses=[
                    _terminated("done", 0),
                    _waiting("inithome", "CrashLoopBackOff", "back-off 10s"),
                ],
                containerStatuses=[_waiting("notebook", "ImagePullBackOff")],
            ),
            [
                PodNotice("CrashLoopBackOff", "back-off 10s", "inithome"),
                PodNotice("ImagePullBackOff", "", "notebook"),
            ],
        ),
        (_pod(containerStatuses=[{"name": "notebook", "state": {"running": {}}}]), []),
    ],
)
def test_reasons_to_wait_are_told(pod: JSON, notices: list[PodNotice]) -> None:
    assert waiting_notices(pod) == notices
