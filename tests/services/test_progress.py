"""What users are told of operations, in their own words."""

from __future__ import annotations

import pytest

from nublado.models.domain.gafaelfawr import UserInfo
from nublado.models.domain.lab import (
    LabOptions,
    LabState,
    LabStatus,
)
from nublado.models.domain.resources import LabResources, Resources
from nublado.services.lab.operation import Operation, OperationKind
from nublado.services.progress import (
    STEPS,
    Phase,
    Progress,
    describe_progress,
    step_of,
)

SOME = Resources(1.0, 1024)


def lab(status: LabStatus, path: str | None = "/nb/user/rachel/") -> LabState:
    return LabState(
        user=UserInfo(username="rachel", uid=1, gid=1),
        options=LabOptions(image="example.org/lab:w_2026_45", size="small"),
        status=status,
        internal_url=None,
        resources=LabResources(limits=SOME, requests=SOME),
        path=path,
    )


def spawn(*messages: str) -> Operation:
    operation = Operation(OperationKind.SPAWN, "rachel")
    operation.events.info("Starting lab creation for rachel", 1)
    for message in messages:
        operation.events.info(message, 35)
    return operation


def failed(reason: str, *before: str) -> Progress:
    operation = spawn(*before)
    operation.events.error(reason)
    operation.events.failed("Lab spawn failed")
    return describe_progress(operation, lab(LabStatus.FAILED))


def test_a_spawn_from_its_beginning_to_its_end() -> None:
    operation = spawn("Successfully assigned userlabs-rachel/rachel-nb to node-1")
    progress = describe_progress(operation, lab(LabStatus.PENDING))
    assert progress.phase is Phase.STARTING
    assert progress.is_live
    assert (progress.percent, progress.step) == (35, "Found a machine for your lab")
    assert progress.lab_path is None
    operation.events.complete("Lab Kubernetes pod started for rachel")
    progress = describe_progress(operation, lab(LabStatus.RUNNING))
    assert progress.phase is Phase.RUNNING
    assert not progress.is_live
    assert progress.percent == 100
    assert progress.lab_path == "/nb/user/rachel/"
    progress = describe_progress(operation, lab(LabStatus.TERMINATED))
    assert (progress.phase, progress.lab_path) == (Phase.STOPPED, None)


def test_a_deletion_and_a_cancelled_spawn() -> None:
    operation = Operation(OperationKind.DELETE, "rachel")
    operation.events.info("Shutting down Kubernetes pod", 25)
    state = lab(LabStatus.TERMINATING)
    assert describe_progress(operation, state).phase is Phase.STOPPING
    operation.events.complete("Lab for rachel deleted", 100)
    assert describe_progress(operation, None).phase is Phase.STOPPED
    operation.lab_path = "/nb/user/rachel/"
    assert describe_progress(operation, None).hub_path == "/nb/hub/spawn"
    operation.cancels = True
    assert describe_progress(operation, None).phase is Phase.CANCELLED
    cancelled = spawn()
    cancelled.cancel()
    assert describe_progress(cancelled, state).phase is Phase.CANCELLED


def test_a_deletion_that_failed() -> None:
    operation = Operation(OperationKind.DELETE, "rachel")
    operation.events.error("Lab deletion timed out after 60.0")
    operation.events.failed("Lab delete failed")
    progress = describe_progress(operation, lab(LabStatus.FAILED))
    assert progress.title == "Your lab could not be shut down"
    assert progress.advice is not None


@pytest.mark.parametrize(
    ("reason", "happened"),
    [
        ("Lab spawn timed out after 600.0", "took too long"),
        ("Error creating object (Pod x, status 500): oops", "has refused something"),
        (
            "Error creating object (Pod x, status 403): exceeded quota: rachel-nb",
            "more than you may use",
        ),
        ("Secret nublado/lab does not exist", "not set up completely"),
        ("No key token in secret nublado/lab", "not set up completely"),
        (
            "Lab pod failed: container notebook exited with code 137 (OOMKilled)",
            "ran out of memory",
        ),
        ("Lab pod failed: container notebook exited with code 1", "A program in"),
        ("Lab pod failed: Evicted: The node was low on resource", "ran short"),
        ("Pod x was deleted before the lab had started", "was removed"),
        ("Internal error", "should not"),
    ],
)
def test_failures_are_explained(reason: str, happened: str) -> None:
    progress = failed(reason)
    assert progress.phase is Phase.FAILED
    assert progress.advice is not None
    assert happened in progress.advice.happened
    assert progress.advice.remedy
    assert progress.hub_path == "/nb/hub/spawn"


@pytest.mark.parametrize(
    ("before", "happened"),
    [
        ("Container notebook: ImagePullBackOff: Back-off", "could not be fetched"),
        ("FailedScheduling: 0/3 nodes are available", "No machine had room"),
    ],
)
def test_what_took_so_long_is_explained(before: str, happened: str) -> None:
    advice = failed("Lab spawn timed out after 600.0", before).advice
    assert advice is not None
    assert happened in advice.happened


def test_places_that_are_not_known_are_not_linked() -> None:
    operation = spawn()
    assert describe_progress(operation, None).hub_path is None
    strange = lab(LabStatus.FAILED, path="/somewhere/")
    assert describe_progress(operation, strange).hub_path is None


def test_steps_are_patterns_for_javascript_too() -> None:
    for pattern, _ in STEPS:
        assert "(?" not in pattern
    assert step_of("Created container: notebook") == "Starting JupyterLab"
    assert step_of("Started container notebook") == "Starting JupyterLab"
    assert step_of("Something new of Kubernetes") == "Your lab is being started"
