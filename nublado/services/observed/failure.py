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
from nublado.models.domain.pod import PodNotice
from nublado.services.observed.notices import cause_of

__all__ = ["explain"]

_QUOTA = re.compile("exceeded quota")
"""Kubernetes refuses what exceeds a quota with the 403 of anything forbidden."""


def explain(
    error: Exception,
    *,
    last: PodNotice | None = None,
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
        cause=_cause(error, last),
        error=error,
        summary=str(error) if isinstance(error, NubladoError) else "Internal error",
        waited_for=waited_for if timed_out else None,
        container=last.container if timed_out and last else None,
        object=error.object_name if isinstance(error, KubernetesError) else object,
        image=image,
        node=node,
    )


def _cause(error: Exception, last: PodNotice | None) -> Cause:
    match error:
        case OperationTimeoutError():
            return (last and cause_of(last)) or Cause.TIMED_OUT
        case KubernetesError():
            is_quota = error.status == 403 and _QUOTA.search(error.body or "")
            return Cause.QUOTA if is_quota else Cause.REFUSED
        case LabPodEndedError(reason="OOMKilled"):
            return Cause.OUT_OF_MEMORY
        case LabPodEndedError(reason="Evicted"):
            return Cause.EVICTED
        case LabPodEndedError():
            return Cause.PROGRAM_ENDED
        case LabPodVanishedError():
            return Cause.POD_DELETED
        case MissingSecretError():
            return Cause.NOT_SET_UP
        case SpawnInterruptedError():
            return Cause.INTERRUPTED
        case _:
            return Cause.INTERNAL
