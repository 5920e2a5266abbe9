"""What errors mean for the operations that they end."""

from __future__ import annotations

import pytest

from nublado.exceptions import (
    KubernetesError,
    LabPodEndedError,
    LabPodVanishedError,
    MissingSecretError,
    OperationTimeoutError,
    SpawnInterruptedError,
)
from nublado.models.domain.failure import Cause
from nublado.models.domain.history import SpawnPhase
from nublado.models.domain.pod import PodNotice
from nublado.services.observed.failure import explain
from nublado.services.observed.pod_end import EndReason


def refused(status: int | None, body: str = "") -> KubernetesError:
    return KubernetesError(
        "Error creating object", kind="Pod", status=status, body=body
    )


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (refused(403), Cause.REFUSED),
        (refused(403, "pods is forbidden: exceeded quota: x"), Cause.QUOTA),
        (refused(422), Cause.REFUSED),
        (refused(None), Cause.KUBERNETES),
        (refused(500), Cause.KUBERNETES),
        (refused(429), Cause.KUBERNETES),
        (LabPodEndedError("", EndReason.OUT_OF_MEMORY), Cause.OUT_OF_MEMORY),
        (LabPodEndedError("", EndReason.EVICTED), Cause.EVICTED),
        (LabPodEndedError("", EndReason.NODE_LOST), Cause.NODE_LOST),
        (LabPodEndedError("", EndReason.EXITED), Cause.PROGRAM_ENDED),
        (LabPodEndedError("", EndReason.FAILED), Cause.PROGRAM_ENDED),
        (LabPodVanishedError("", EndReason.DELETED), Cause.POD_DELETED),
        (LabPodVanishedError("", EndReason.EVICTED), Cause.EVICTED),
        (LabPodVanishedError("", EndReason.NODE_LOST), Cause.NODE_LOST),
        (MissingSecretError(""), Cause.NOT_SET_UP),
        (SpawnInterruptedError(), Cause.INTERRUPTED),
        (ZeroDivisionError(), Cause.INTERNAL),
    ],
)
def test_cause(error: Exception, cause: Cause) -> None:
    assert explain(error).cause is cause


@pytest.mark.parametrize(
    ("phase", "cause"),
    [
        (None, Cause.TIMED_OUT),
        (SpawnPhase.ACCEPTED, Cause.TIMED_OUT_CREATING),
        (SpawnPhase.CLEARED, Cause.TIMED_OUT_CREATING),
        (SpawnPhase.CREATED, Cause.TIMED_OUT_CREATING),
        (SpawnPhase.SCHEDULED, Cause.TIMED_OUT_SCHEDULING),
        (SpawnPhase.PREPARED, Cause.TIMED_OUT_PREPARING),
        (SpawnPhase.PULLED, Cause.TIMED_OUT_PULLING),
        (SpawnPhase.STARTED, Cause.TIMED_OUT_STARTING),
    ],
)
def test_what_ran_out_of_time_is_told_by_its_phase(
    phase: SpawnPhase | None, cause: Cause
) -> None:
    error = OperationTimeoutError("Lab spawn", 600)
    assert explain(error, phase=phase).cause is cause
    stuck = PodNotice("ImagePullBackOff", "", "notebook")
    assert explain(error, phase=phase, last=stuck).cause is Cause.IMAGE
    known = Cause.IMAGE_MISSING
    assert explain(error, phase=phase, last=stuck, trouble=known).cause is known
