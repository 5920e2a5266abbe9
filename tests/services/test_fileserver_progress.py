"""What users are told of their file server, above all where it does not start."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from nublado.models.domain.failure import Cause
from nublado.models.domain.kubernetes import JSON
from nublado.services.fileserver.progress import (
    _CAUSES,
    _OBSTACLES,
    FilesPhase,
    FilesProgress,
)
from nublado.services.fileserver.service import FileserverService
from nublado.services.observed.fileserver import Obstacle
from tests.cluster import Cluster, user
from tests.fileservers import (
    CONFIG,
    NAMESPACE,
    RACHEL,
    MakeService,
    maker_of_services,
)
from tests.waiting import wait_for


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(config_file=CONFIG) as running:
        yield running


@pytest.fixture
def make_service(cluster: Cluster) -> Iterator[MakeService]:
    with maker_of_services(cluster) as make:
        yield make


@pytest.fixture
def service(make_service: MakeService) -> FileserverService:
    return make_service(60.0)


def settle(service: FileserverService) -> FilesProgress:
    """Wait until nothing more follows by itself."""
    wait_for(lambda: not service.progress("rachel").phase.is_live)
    return service.progress("rachel")


def phase(service: FileserverService) -> FilesPhase:
    return service.progress("rachel").phase


def states(service: FileserverService) -> list[str]:
    return [step.mark.value for step in service.progress("rachel").steps]


def refuse_by_quota(cluster: Cluster) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    cluster.call(lambda s: s.store.create("ResourceQuota", quota, NAMESPACE))


def refuse_objects(cluster: Cluster) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"services": "0"}}}
    cluster.call(lambda s: s.store.create("ResourceQuota", quota, NAMESPACE))


def allow_objects(cluster: Cluster) -> None:
    cluster.call(lambda s: s.store.delete("ResourceQuota", NAMESPACE, "none"))


def leave_no_machine(cluster: Cluster) -> None:
    nodes = cluster.call(lambda s: s.store.list("Node"))
    for node in nodes:
        name = node["metadata"]["name"]
        cluster.control("PATCH", f"/nodes/{name}", {"unschedulable": True})


def give_address(ingress: JSON) -> None:
    points = [{"ip": "10.1.2.3"}]
    ingress.setdefault("status", {})["loadBalancer"] = {"ingress": points}


def test_nobody_has_a_file_server_at_first(service: FileserverService) -> None:
    assert phase(service) is FilesPhase.STOPPED


def test_way_to_a_file_server_is_shown_step_by_step(
    cluster: Cluster, service: FileserverService
) -> None:
    cluster.control.settings(gives_addresses=False)
    service.begin(RACHEL)
    assert phase(service) is FilesPhase.STARTING
    wait_for(lambda: states(service) == ["done", "done", "now"])
    name = (NAMESPACE, "rachel-fs")
    wait_for(lambda: cluster.call(lambda s: s.store.find("Ingress", *name)))
    cluster.call(lambda s: s.store.mutate("Ingress", *name, give_address))
    assert settle(service).phase is FilesPhase.RUNNING
    assert service.running() == ["rachel"]


def test_way_is_compared_with_that_of_others(
    cluster: Cluster, service: FileserverService
) -> None:
    refuse_objects(cluster)
    service.begin(RACHEL)
    assert settle(service).phase is FilesPhase.FAILED
    allow_objects(cluster)
    service.begin(user("mary").info)
    wait_for(lambda: service.running() == ["mary"])
    cluster.control.settings(gives_addresses=False)
    service.begin(RACHEL, again=True)
    wait_for(lambda: service.progress("rachel").usual_seconds)


def test_file_server_is_begun_once(
    cluster: Cluster, service: FileserverService
) -> None:
    for _ in range(3):
        service.begin(RACHEL)
    settle(service)
    service.begin(RACHEL, again=True)
    assert phase(service) is FilesPhase.RUNNING
    jobs = cluster.call(lambda s: s.store.list("Job", NAMESPACE))
    assert len(jobs) == 1


def test_file_server_that_ends_at_once_is_cleared_away(
    cluster: Cluster, service: FileserverService
) -> None:
    service.begin(RACHEL)
    settle(service)
    (pod,) = cluster.call(lambda s: s.store.list("Pod", NAMESPACE))
    path = f"/pods/{NAMESPACE}/{pod['metadata']['name']}/finish"
    cluster.control("POST", path, {"exit_code": 1})
    wait_for(lambda: phase(service) is FilesPhase.STOPPED)


@pytest.mark.parametrize(
    ("prepare", "happened", "remedy"),
    [
        (
            lambda c: c.control.settings(failing_pulls=["worblehat"]),
            "The program of file servers could not be fetched.",
            "You can do nothing about that",
        ),
        (
            lambda c: c.control.settings(exits={"worblehat": 1}),
            "Its program ended while it was starting.",
            "Try again in a few minutes.",
        ),
        (
            lambda c: c.control.settings(start_delay=60.0),
            "It took too long to start.",
            "Try again in a few minutes.",
        ),
        (
            lambda c: c.control.settings(makes_ingresses=False),
            "It started, but was given no address.",
            "You can do nothing about that",
        ),
        (
            lambda c: c.control.settings(gives_addresses=False),
            "It started, but was given no address.",
            "You can do nothing about that",
        ),
        (
            refuse_by_quota,
            "The cluster did not let it start.",
            "You can do nothing about that",
        ),
        (
            refuse_objects,
            "There are as many file servers as there may be.",
            "Try again in a few minutes.",
        ),
        (
            leave_no_machine,
            "No machine had room for it.",
            "Try again in a few minutes.",
        ),
    ],
)
def test_failure_is_told_in_words(
    cluster: Cluster,
    make_service: MakeService,
    prepare: Callable[[Cluster], None],
    happened: str,
    remedy: str,
) -> None:
    prepare(cluster)
    service = make_service(2.0)
    service.begin(RACHEL)
    progress = settle(service)
    assert progress.phase is FilesPhase.FAILED
    assert progress.failure is not None
    assert str(progress.failure.happened) == happened
    assert str(progress.failure.remedy).startswith(remedy)
    assert progress.failure.request_id


def test_each_cause_has_words() -> None:
    of_labs_only = {
        Cause.INIT_FAILED,
        Cause.OUT_OF_MEMORY,
        Cause.EVICTED,
        Cause.NODE_LOST,
        Cause.POD_DELETED,
        Cause.INTERRUPTED,
        *(cause for cause in Cause if cause.name.startswith("TIMED_OUT_")),
    }
    by_obstacle, unknown = {Cause.TIMED_OUT}, {Cause.INTERNAL}
    assert set(_CAUSES) == set(Cause) - of_labs_only - by_obstacle - unknown
    assert set(_OBSTACLES) == set(Obstacle)


def test_failure_is_not_tried_again_unasked(
    cluster: Cluster, service: FileserverService
) -> None:
    refuse_objects(cluster)
    service.begin(RACHEL)
    assert settle(service).phase is FilesPhase.FAILED
    allow_objects(cluster)
    service.begin(RACHEL)
    assert phase(service) is FilesPhase.FAILED
    service.begin(RACHEL, again=True)
    assert settle(service).phase is FilesPhase.RUNNING


def test_old_failure_is_tried_again(
    cluster: Cluster, service: FileserverService, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_objects(cluster)
    service.begin(RACHEL)
    assert settle(service).phase is FilesPhase.FAILED
    allow_objects(cluster)
    monkeypatch.setattr("nublado.services.fileserver.progress._REMEMBERED_SECONDS", 0.0)
    service.begin(RACHEL)
    assert settle(service).phase is FilesPhase.RUNNING


def test_creation_that_was_ended_by_a_deletion_says_so(
    cluster: Cluster, service: FileserverService
) -> None:
    cluster.control.settings(gives_addresses=False)
    service.begin(RACHEL)
    service.delete("rachel")
    progress = settle(service)
    assert progress.phase is FilesPhase.FAILED
    assert progress.failure is not None
    assert "stopped while it was starting" in str(progress.failure.happened)
