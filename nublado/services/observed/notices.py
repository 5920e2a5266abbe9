"""What Kubernetes' events about a lab's pod, and its reasons to wait, mean.

The meaning is taken from the reason and the container: texts differ by version.
Only where one reason stands for several causes, what it says decides between them,
and what is not understood stays the more general one.

References
----------
https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/events/event.go
https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/images/types.go
https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kuberuntime/kuberuntime_container.go
"""

from __future__ import annotations

import re

from nublado.events import Step
from nublado.models.domain.failure import Cause
from nublado.models.domain.pod import PodNotice
from nublado.services.builder.lab_containers import NOTEBOOK

__all__ = [
    "cause_of",
    "is_start_of_lab",
    "says_why_pull_fails",
    "step_of",
    "supersedes",
    "why_pull_fails",
]

_STEPS = {
    "FailedScheduling": Step.WAITING_FOR_ROOM,
    "Scheduled": Step.SCHEDULED,
    "Pulling": Step.PULLING,
    "Pulled": Step.PULLED,
    "FailedMount": Step.MOUNT_FAILING,
    "FailedAttachVolume": Step.MOUNT_FAILING,
    "FailedMapVolume": Step.MOUNT_FAILING,
    "FailedCreatePodSandBox": Step.MACHINE_FAILING,
    "FailedPodSandBoxStatus": Step.MACHINE_FAILING,
    "NetworkNotReady": Step.MACHINE_FAILING,
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
_START_FAILURES = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
_AMBIGUOUS = frozenset({"BackOff", "Failed"})
"""Events of images that cannot be pulled as of containers that cannot run."""

_ATTEMPTS = (Step.PULLING, Step.PREPARING, Step.STARTING)
_FAILING_STARTS = (Step.INIT_FAILING, Step.START_FAILING)
_CAUSES_OF_STEPS = {
    Step.MOUNT_FAILING: Cause.STORAGE,
    Step.MACHINE_FAILING: Cause.MACHINE,
    Step.INIT_FAILING: Cause.INIT_FAILED,
    Step.START_FAILING: Cause.PROGRAM_ENDED,
}
_TOO_LITTLE = re.compile(r"Insufficient (cpu|memory)\b", re.IGNORECASE)
_NO_SUCH_OBJECT = re.compile(r'(secret|configmap) "[^"]*" not found', re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')
_DENIED = re.compile(
    r"unauthorized|denied|forbidden|insufficient_scope|authorization failed"
    r"|authentication required",
    re.IGNORECASE,
)
_NO_SUCH_IMAGE = re.compile(
    r"code = NotFound|: not found|manifest unknown|name unknown|no such manifest",
    re.IGNORECASE,
)


def step_of(notice: PodNotice, main: str | None = NOTEBOOK) -> Step | None:
    """What a notice means to the user; None if nothing in particular.

    Events that say only that something has failed mean nothing of their own: the
    reason for which the container waits tells what it is.

    Parameters
    ----------
    notice
        The notice.
    main
        The container that all others make ready for; None where there are no others.
    """
    is_lab = main in (notice.container, None)
    if notice.reason in ("Created", "Started"):
        return Step.STARTING if is_lab else Step.PREPARING
    if notice.reason in _START_FAILURES:
        return Step.START_FAILING if is_lab else Step.INIT_FAILING
    return _STEPS.get(notice.reason)


def cause_of(notice: PodNotice, main: str | None = NOTEBOOK) -> Cause | None:
    """Which cause of a failure a notice is; None if it is none.

    Parameters are those of `step_of`.
    """
    if notice.reason == "CreateContainerConfigError":
        return Cause.NOT_SET_UP
    match step_of(notice, main):
        case Step.WAITING_FOR_ROOM:
            is_size = _TOO_LITTLE.search(notice.message)
            return Cause.NO_ROOM if is_size else Cause.NO_NODE
        case Step.MOUNT_FAILING if _NO_SUCH_OBJECT.search(notice.message):
            return Cause.NOT_SET_UP
        case Step.PULL_FAILING if None in (main, notice.container):
            return why_pull_fails(notice)
        case Step.PULL_FAILING if notice.container == main:
            return why_pull_fails(notice)
        case Step.PULL_FAILING:
            return Cause.INIT_FAILED
        case None:
            return None
        case step:
            return _CAUSES_OF_STEPS.get(step)


def says_why_pull_fails(notice: PodNotice) -> bool:
    """Whether a notice tells of an image why it cannot be pulled."""
    is_of_pull = notice.reason == "Failed" or step_of(notice) is Step.PULL_FAILING
    return is_of_pull and why_pull_fails(notice) is not Cause.IMAGE


def why_pull_fails(notice: PodNotice) -> Cause:
    """Tell an image that is missing from one that is not given out, and the rest.

    Names of images, which are quoted, do not count.
    """
    if notice.reason == "InvalidImageName":
        return Cause.IMAGE_MISSING
    said = _QUOTED.sub("", notice.message)
    if _DENIED.search(said):
        return Cause.IMAGE_DENIED
    return Cause.IMAGE_MISSING if _NO_SUCH_IMAGE.search(said) else Cause.IMAGE


def supersedes(notice: PodNotice, last: PodNotice | None) -> bool:
    """Whether a notice is news after the last reason that was given.

    It is not if that is known to be the cause of a failure, and the notice says
    only that the same container is tried again, or has failed.
    """
    if last is None or last.container != notice.container or not cause_of(last):
        return True
    step = step_of(notice)
    if step is Step.PULLED and step_of(last) in _FAILING_STARTS:
        return False
    return notice.reason not in _AMBIGUOUS and step not in _ATTEMPTS


def is_start_of_lab(notice: PodNotice) -> bool:
    """Whether a notice is the last event of a spawn that succeeds."""
    return notice.reason == "Started" and notice.container == NOTEBOOK
