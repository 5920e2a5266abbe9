"""What Kubernetes' events about a lab's pod, and its reasons to wait, mean.

The meaning is taken from the reason and the container: texts differ by version.

References
----------
https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/events/event.go
https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/images/types.go
https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kuberuntime/kuberuntime_container.go
"""

from __future__ import annotations

from nublado.events import Step
from nublado.models.domain.failure import Cause
from nublado.models.domain.pod import PodNotice
from nublado.services.builder.lab_containers import NOTEBOOK

__all__ = ["cause_of", "is_start_of_lab", "step_of", "supersedes"]

_STEPS = {
    "FailedScheduling": Step.WAITING_FOR_ROOM,
    "Scheduled": Step.SCHEDULED,
    "Pulling": Step.PULLING,
    "Pulled": Step.PULLED,
    **dict.fromkeys(
        (
            "ErrImageNeverPull",
            "ErrImagePull",
            "ImageInspectError",
            "ImagePullBackOff",
            "InvalidImageName",
            "RegistryUnavailable",
            "SignatureValidationFailed",
        ),
        Step.PULL_FAILING,
    ),
}
_CAUSES = {
    "CrashLoopBackOff": Cause.PROGRAM_ENDED,
    "CreateContainerConfigError": Cause.NOT_SET_UP,
    "CreateContainerError": Cause.PROGRAM_ENDED,
    "RunContainerError": Cause.PROGRAM_ENDED,
}
_AMBIGUOUS = frozenset({"BackOff", "Failed"})
"""Events of images that cannot be pulled as of containers that cannot run."""

_ATTEMPTS = (Step.PULLING, Step.PREPARING, Step.STARTING)
_CAUSES_OF_STEPS = {
    Step.WAITING_FOR_ROOM: Cause.NO_ROOM,
    Step.PULL_FAILING: Cause.IMAGE,
}


def step_of(notice: PodNotice) -> Step | None:
    """What a notice means to the user; None if nothing in particular.

    Events that say only that something has failed mean nothing of their own: the
    reason for which the container waits tells what it is.
    """
    if notice.reason in ("Created", "Started"):
        is_lab = notice.container == NOTEBOOK
        return Step.STARTING if is_lab else Step.PREPARING
    return _STEPS.get(notice.reason)


def cause_of(notice: PodNotice) -> Cause | None:
    """Which cause of a failure a notice is; None if it is none."""
    step = step_of(notice)
    cause = _CAUSES_OF_STEPS.get(step) if step else None
    return cause or _CAUSES.get(notice.reason)


def supersedes(notice: PodNotice, last: PodNotice | None) -> bool:
    """Whether a notice is news after the last reason that was given.

    It is not if that is known to be the cause of a failure, and the notice says
    only that the same container is tried again, or has failed.
    """
    if last is None or last.container != notice.container or not cause_of(last):
        return True
    return notice.reason not in _AMBIGUOUS and step_of(notice) not in _ATTEMPTS


def is_start_of_lab(notice: PodNotice) -> bool:
    """Whether a notice is the last event of a spawn that succeeds."""
    return notice.reason == "Started" and notice.container == NOTEBOOK
