"""What Kubernetes' notices about pods mean, whatever its version."""

from __future__ import annotations

import pytest

from nublado.events import Step
from nublado.models.domain.failure import Cause
from nublado.models.domain.pod import PodNotice
from nublado.services.observed.notices import (
    cause_of,
    is_start_of_lab,
    step_of,
    supersedes,
)

IMAGE = 'Back-off pulling image "example.org/lab:w_2026_45"'


@pytest.mark.parametrize(
    ("notice", "step", "cause"),
    [
        (PodNotice("Scheduled", "Successfully assigned"), Step.SCHEDULED, None),
        (
            PodNotice("FailedScheduling", "0/3 nodes are available"),
            Step.WAITING_FOR_ROOM,
            Cause.NO_ROOM,
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
        (
            PodNotice("CreateContainerConfigError", 'secret "x" not found', "notebook"),
            None,
            Cause.NOT_SET_UP,
        ),
        (PodNotice("RunContainerError", "", "notebook"), None, Cause.PROGRAM_ENDED),
        (PodNotice("CrashLoopBackOff", "", "inithome"), None, Cause.PROGRAM_ENDED),
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
        (PodNotice("TriggeredScaleUp"), PodNotice("FailedScheduling"), True),
    ],
)
def test_further_attempts_do_not_hide_why_the_first_has_failed(
    notice: PodNotice, last: PodNotice | None, is_news: bool
) -> None:
    assert supersedes(notice, last) is is_news
