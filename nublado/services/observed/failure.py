"""What an error means for the operation that it ends."""

from __future__ import annotations

import re

from nublado.exceptions import (
    KubernetesError,
    LabPodEndedError,
    LabPodVanishedError,
    MissingSecretError,
    NubladoError,
    OperationTimeoutError,
    SpawnInterruptedError,
)
from nublado.models.domain.failure import Cause, Failure
from nublado.models.domain.history import SpawnPhase
from nublado.models.domain.pod import PodNotice
from nublado.services.observed.notices import cause_of
from nublado.services.observed.pod_end import EndReason

__all__ = ["explain"]

_QUOTA = re.compile("exceeded quota")
"""Kubernetes refuses what exceeds a quota with the 403 of anything forbidden."""

_REFUSALS = range(400, 500)
_BUSY = frozenset({408, 429})
_ENDS: dict[str, Cause] = {
    EndReason.OUT_OF_MEMORY: Cause.OUT_OF_MEMORY,
    EndReason.EVICTED: Cause.EVICTED,
    EndReason.NODE_LOST: Cause.NODE_LOST,
    EndReason.DELETED: Cause.POD_DELETED,
}
_TIMES_OUT = {
    SpawnPhase.ACCEPTED: Cause.TIMED_OUT_CREATING,
    SpawnPhase.CLEARED: Cause.TIMED_OUT_CREATING,
    SpawnPhase.CREATED: Cause.TIMED_OUT_CREATING,
    SpawnPhase.SCHEDULED: Cause.TIMED_OUT_SCHEDULING,
    SpawnPhase.PREPARED: Cause.TIMED_OUT_PREPARING,
    SpawnPhase.PULLED: Cause.TIMED_OUT_PULLING,
    SpawnPhase.STARTED: Cause.TIMED_OUT_STARTING,
}


def explain(
    error: Exception,
    *,
    last: PodNotice | None = None,
    trouble: Cause | None = None,
    phase: SpawnPhase | None = None,
    waited_for: str | None = None,
    object: str | None = None,  # noqa: A002
    image: str | None = None,
    node: str | None = None,
) -> Failure:
    """Explain the error that has ended an operation.

    Parameters
    ----------
    error
        The error.
    last
        The reason that Kubernetes gave last, of what it said of a pod.
    trouble
        Which cause of a failure that is, where that is known better than by it
        alone.
    phase
        What a spawn was busy with.
    waited_for
        What was waited for, where no pod says; by default ``object``.
    object, image, node
        What the operation was about at that moment.
    """
    waited_for = str(last) if last else waited_for or object
    timed_out = isinstance(error, OperationTimeoutError)
    if isinstance(error, OperationTimeoutError) and error.waited_for:
        waited_for = error.waited_for
    return Failure(
        cause=_cause(error, trouble or (cause_of(last) if last else None), phase),
        error=error,
        summary=str(error) if isinstance(error, NubladoError) else "Internal error",
        waited_for=waited_for if timed_out else None,
        container=last.container if timed_out and last else None,
        object=error.object_name if isinstance(error, KubernetesError) else object,
        image=image,
        node=node,
    )


def _cause(error: Exception, trouble: Cause | None, phase: SpawnPhase | None) -> Cause:
    match error:
        case OperationTimeoutError():
            default = _TIMES_OUT[phase] if phase else Cause.TIMED_OUT
            return trouble or default
        case KubernetesError():
            return _cause_of_response(error)
        case LabPodEndedError() | LabPodVanishedError():
            return _ENDS.get(error.end, Cause.PROGRAM_ENDED)
        case MissingSecretError():
            return Cause.NOT_SET_UP
        case SpawnInterruptedError():
            return Cause.INTERRUPTED
        case _:
            return Cause.INTERNAL


def _cause_of_response(error: KubernetesError) -> Cause:
    """Tell a refusal from a server that is away, or cannot keep up."""
    if error.status == 403 and _QUOTA.search(error.body or ""):
        return Cause.QUOTA
    is_refusal = error.status in _REFUSALS and error.status not in _BUSY
    return Cause.REFUSED if is_refusal else Cause.KUBERNETES
