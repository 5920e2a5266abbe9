"""What Kubernetes' notices about pods mean, whatever its version."""

from __future__ import annotations

import pytest

from nublado.events import Step
from nublado.models.domain.failure import Cause
from nublado.models.domain.pod import PodNotice
from nublado.services.observed.notices import (
    cause_of,
    is_start_of_lab,
    says_why_pull_fails,
    step_of,
    supersedes,
    why_pull_fails,
)

IMAGE = 'Back-off pulling image "example.org/lab:w_2026_45"'


@pytest.mark.parametrize(
    ("notice", "step", "cause"),
    [
        (PodNotice("Scheduled", "Successfully assigned"), Step.SCHEDULED, None),
        (
            PodNotice(
                "FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu."
            ),
            Step.WAITING_FOR_ROOM,
            Cause.NO_ROOM,
        ),
        (
            PodNotice(
                "FailedScheduling",
                "0/9 nodes are available: 2 Insufficient memory, 7 node(s) had"
                " untolerated taint {a: b}.",
            ),
            Step.WAITING_FOR_ROOM,
            Cause.NO_ROOM,
        ),
        # A smaller lab would not find a place either.
        (
            PodNotice("FailedScheduling", "0/3 nodes are available: 3 Too many pods."),
            Step.WAITING_FOR_ROOM,
            Cause.NO_NODE,
        ),
        (
            PodNotice("FailedScheduling", "0/0 nodes are available"),
            Step.WAITING_FOR_ROOM,
            Cause.NO_NODE,
        ),
        (PodNotice("Pulling", "Pulling image", "notebook"), Step.PULLING, None),
        (PodNotice("Pulled", "already present", "notebook"), Step.PULLED, None),
        # What they are about is in the texts only, which differ by version.
        (PodNotice("BackOff", IMAGE, "notebook"), None, None),
        (PodNotice("Failed", "Error: ErrImagePull", "notebook"), None, None),
        (PodNotice("BackOff", "Back-off restarting", "inithome"), None, None),
        (
            PodNotice("ImagePullBackOff", IMAGE, "notebook"),
            Step.PULL_FAILING,
            Cause.IMAGE,
        ),
        (PodNotice("ErrImagePull", "", "notebook"), Step.PULL_FAILING, Cause.IMAGE),
        # No choice of the user makes up for that.
        (
            PodNotice("ErrImagePull", "code = NotFound", "inithome"),
            Step.PULL_FAILING,
            Cause.INIT_FAILED,
        ),
        (
            PodNotice("CreateContainerConfigError", 'secret "x" not found', "notebook"),
            Step.START_FAILING,
            Cause.NOT_SET_UP,
        ),
        (
            PodNotice("RunContainerError", "", "notebook"),
            Step.START_FAILING,
            Cause.PROGRAM_ENDED,
        ),
        (
            PodNotice("CrashLoopBackOff", "", "inithome"),
            Step.INIT_FAILING,
            Cause.INIT_FAILED,
        ),
        (
            PodNotice("FailedMount", "MountVolume.SetUp failed: mount.nfs: timed out"),
            Step.MOUNT_FAILING,
            Cause.STORAGE,
        ),
        (
            PodNotice("FailedMount", 'MountVolume.SetUp failed : secret "x" not found'),
            Step.MOUNT_FAILING,
            Cause.NOT_SET_UP,
        ),
        (
            PodNotice("FailedCreatePodSandBox", "failed to set up network"),
            Step.MACHINE_FAILING,
            Cause.MACHINE,
        ),
        # Up to Kubernetes 1.34, and from 1.35 on.
        (PodNotice("Created", "Created container: x", "notebook"), Step.STARTING, None),
        (PodNotice("Created", "Container created", "notebook"), Step.STARTING, None),
        (PodNotice("Created", "Container created", "inithome"), Step.PREPARING, None),
        (PodNotice("Started", "Container started", "notebook"), Step.STARTING, None),
        (PodNotice("SomethingNew", "of Kubernetes"), None, None),
    ],
)
def test_notices_mean_steps_and_causes(
    notice: PodNotice, step: Step | None, cause: Cause | None
) -> None:
    assert step_of(notice) is step
    assert cause_of(notice) is cause


def test_the_last_event_of_a_spawn_is_known_by_container() -> None:
    assert is_start_of_lab(PodNotice("Started", "Container started", "notebook"))
    assert not is_start_of_lab(PodNotice("Started", "Container started", "inithome"))
    assert not is_start_of_lab(PodNotice("Created", "notebook", "notebook"))


@pytest.mark.parametrize(
    ("notice", "last", "is_news"),
    [
        (PodNotice("Scheduled"), None, True),
        (PodNotice("BackOff", IMAGE, "notebook"), PodNotice("Scheduled"), True),
        (
            PodNotice("BackOff", IMAGE, "notebook"),
            PodNotice("ImagePullBackOff", IMAGE, "notebook"),
            False,
        ),
        (
            PodNotice("Pulling", "", "notebook"),
            PodNotice("ImagePullBackOff", IMAGE, "notebook"),
            False,
        ),
        (
            PodNotice("Pulled", "", "notebook"),
            PodNotice("ImagePullBackOff", IMAGE, "notebook"),
            True,
        ),
        (
            PodNotice("Pulling", "", "notebook"),
            PodNotice("CrashLoopBackOff", "", "inithome"),
            True,
        ),
        (
            PodNotice("Pulled", "", "inithome"),
            PodNotice("CrashLoopBackOff", "", "inithome"),
            False,
        ),
        (PodNotice("TriggeredScaleUp"), PodNotice("FailedScheduling"), True),
    ],
)
def test_further_attempts_do_not_hide_why_the_first_has_failed(
    notice: PodNotice, last: PodNotice | None, is_news: bool
) -> None:
    assert supersedes(notice, last) is is_news


# As containerd and CRI-O say it.
PULL = 'Failed to pull image "example.org/unauthorized/not found:w_1": rpc error: '


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            "code = NotFound desc = failed to pull and unpack image"
            ' "example.org/lab:w_1": not found',
            Cause.IMAGE_MISSING,
        ),
        (
            "code = Unknown desc = Error reading manifest w_1 in example.org/lab:"
            " manifest unknown: manifest unknown",
            Cause.IMAGE_MISSING,
        ),
        (
            "code = Unknown desc = failed to resolve reference: pull access denied,"
            " repository does not exist or may require authorization: server message:"
            " insufficient_scope: authorization failed",
            Cause.IMAGE_DENIED,
        ),
        (
            "code = Unknown desc = pulling from host example.org failed with status"
            " code [manifests w_1]: 401 Unauthorized",
            Cause.IMAGE_DENIED,
        ),
        (
            "code = Unknown desc = failed to do request: dial tcp: i/o timeout",
            Cause.IMAGE,
        ),
    ],
)
def test_why_an_image_cannot_be_pulled(said: str, cause: Cause) -> None:
    notice = PodNotice("Failed", PULL + said, "notebook")
    assert why_pull_fails(notice) is cause
    assert says_why_pull_fails(notice) is (cause is not Cause.IMAGE)


def test_a_container_alone_makes_nothing_ready() -> None:
    """That of a file server, for example."""
    missing = PodNotice("ErrImagePull", "code = NotFound", "fileserver")
    assert cause_of(missing, main=None) is Cause.IMAGE_MISSING
    assert cause_of(missing) is Cause.INIT_FAILED
    loop = PodNotice("CrashLoopBackOff", "", "fileserver")
    assert cause_of(loop, main=None) is Cause.PROGRAM_ENDED


def test_only_what_is_about_pulling_says_why_that_fails() -> None:
    assert not says_why_pull_fails(PodNotice("BackOff", "not found", "notebook"))
    assert why_pull_fails(PodNotice("InvalidImageName")) is Cause.IMAGE_MISSING
