"""What Kubernetes' events about a lab's pod, and its reasons to wait, mean.

The meaning is taken from the reason and the container: texts differ by version.

References
----------
https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/events/event.go
"""

from __future__ import annotations

import re

from nublado.events import Step
from nublado.models.domain.failure import Cause
from nublado.models.domain.pod import PodNotice
from nublado.services.builder.lab_pod import NOTEBOOK

__all__ = ["cause_of", "is_start_of_lab", "step_of"]

_STEPS = {
    "FailedScheduling": Step.WAITING_FOR_ROOM,
    "Scheduled": Step.SCHEDULED,
    "Pulling": Step.PULLING,
    "Pulled": Step.PULLED,
    "ImagePullBackOff": Step.PULL_FAILING,
    "ErrImagePull": Step.PULL_FAILING,
    "InvalidImageName": Step.PULL_FAILING,
}
_CAUSES = {
    Step.WAITING_FOR_ROOM: Cause.NO_ROOM,
    Step.PULL_FAILING: Cause.IMAGE,
}
_AMBIGUOUS = frozenset({"BackOff", "Failed"})
_PULL = re.compile("pull", re.IGNORECASE)
"""Distinguishes failed pulls from failed starts, which have the same reasons."""


def step_of(notice: PodNotice) -> Step | None:
    """What a notice means to the user; None if nothing in particular."""
    if notice.reason in ("Created", "Started"):
        is_lab = notice.container == NOTEBOOK
        return Step.STARTING if is_lab else Step.PREPARING
    if notice.reason in _AMBIGUOUS and _PULL.search(notice.message):
        return Step.PULL_FAILING
    return _STEPS.get(notice.reason)


def cause_of(notice: PodNotice) -> Cause | None:
    """Which cause of a failure a notice is; None if it is none."""
    step = step_of(notice)
    if step is None and notice.reason in (*_AMBIGUOUS, "CrashLoopBackOff"):
        return Cause.PROGRAM_ENDED
    return _CAUSES.get(step) if step else None


def is_start_of_lab(notice: PodNotice) -> bool:
    """Whether a notice is the last event of a spawn that succeeds."""
    return notice.reason == "Started" and notice.container == NOTEBOOK
