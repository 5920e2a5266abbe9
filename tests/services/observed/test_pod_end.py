"""Why labs end that had started."""

from __future__ import annotations

import pytest

from nublado.models.domain.kubernetes import JSON
from nublado.services.observed.pod_end import EndReason, last_restart, why_pod_ends


def pod(status: JSON, *, terminating: bool = False) -> JSON:
    metadata: JSON = {"name": "rachel-nb", "uid": "1"}
    if terminating:
        metadata["deletionTimestamp"] = "2026-01-01T10:00:00Z"
    return {"metadata": metadata, "spec": {"nodeName": "node-1"}, "status": status}


def ended(code: int, reason: str | None = None) -> JSON:
    return {
        "phase": "Succeeded" if code == 0 else "Failed",
        "containerStatuses": [
            {
                "name": "notebook",
                "state": {"terminated": {"exitCode": code, "reason": reason}},
            }
        ],
    }


def disrupted(reason: str) -> JSON:
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": "it said so",
    }
    return {"phase": "Running", "conditions": [condition]}


@pytest.mark.parametrize(
    ("status", "terminating", "reason", "text"),
    [
        (ended(137, "OOMKilled"), False, EndReason.OUT_OF_MEMORY, "137 (OOMKilled)"),
        (ended(1, "Error"), False, EndReason.FAILED, "exited with code 1"),
        (ended(0), False, EndReason.EXITED, "Lab pod ended"),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "low on memory"},
            False,
            EndReason.EVICTED,
            "Evicted: low on memory",
        ),
        (
            {"phase": "Failed", "reason": "NodeShutdown"},
            False,
            EndReason.NODE_LOST,
            "NodeShutdown",
        ),
        (
            disrupted("DeletionByTaintManager"),
            True,
            EndReason.NODE_LOST,
            "its node was tainted or does not answer: it said so",
        ),
        (
            disrupted("EvictionByEvictionAPI"),
            True,
            EndReason.EVICTED,
            "somebody drained its node",
        ),
        (
            {"phase": "Running"},
            True,
            EndReason.DELETED,
            "is being deleted by somebody other than this service",
        ),
    ],
)
def test_reason(status: JSON, terminating: bool, reason: EndReason, text: str) -> None:
    end = why_pod_ends(pod(status, terminating=terminating), gone=False)
    assert end.reason is reason
    assert text in end.text


def test_pods_that_nobody_saw_end() -> None:
    assert why_pod_ends(None, gone=True).reason is EndReason.DELETED
    gone = why_pod_ends(pod({"phase": "Running"}), gone=True)
    assert "was deleted by somebody" in gone.text


def test_restarts_of_the_lab_are_told_with_their_reason() -> None:
    status = {
        "containerStatuses": [
            {"name": "sidecar", "restartCount": 9},
            {
                "name": "notebook",
                "restartCount": 2,
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            },
        ]
    }
    found = last_restart(pod(status))
    assert found is not None
    count, end = found
    assert (count, end.reason) == (2, EndReason.OUT_OF_MEMORY)
    assert last_restart(pod({})) is None
