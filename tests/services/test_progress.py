"""What users are told of operations, in their own words, as these really go."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from nublado.exceptions import LabDeletionError
from nublado.services.progress import Phase, Progress, describe_progress
from tests.cluster import SPECIFICATION, Cluster, Service, user
from tests.waiting import wait_for

POD = "userlabs-rachel/rachel-nb"
QUOTA = {
    "kind": "Status",
    "reason": "Forbidden",
    "message": 'pods "rachel-nb" is forbidden: exceeded quota: rachel-nb',
    "code": 403,
}

Strike = Callable[[Cluster], object]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(spawn_timeout=60.0) as running:
        yield running


def page(service: Service) -> Progress:
    record = service.labs.table.get_or_add("rachel")
    operation = service.labs.operation("rachel")
    return describe_progress(operation, record.state, record.lab_path)


def stuck_spawn(cluster: Cluster) -> Service:
    """Begin a spawn that hangs because its image cannot be pulled."""
    cluster.control.settings(failing_pulls=["sciplat/lab"])
    service = cluster.service()
    service.labs.create(user("rachel"), SPECIFICATION)
    wait_for(lambda: page(service).step.startswith("The image cannot be fetched"))
    return service


def test_a_spawn_from_its_beginning_to_its_end(cluster: Cluster) -> None:
    service = stuck_spawn(cluster)
    progress = page(service)
    assert (progress.phase, progress.is_live) == (Phase.STARTING, True)
    assert 35 <= progress.percent < 75
    assert progress.lab_path is None
    cluster.control.settings(failing_pulls=[])
    service.messages("rachel")
    progress = page(service)
    assert (progress.phase, progress.is_live) == (Phase.RUNNING, False)
    assert (progress.percent, progress.step) == (100, "Starting JupyterLab")
    assert (progress.lab_path, progress.advice) == ("/nb/user/x/", None)
    cluster.control("POST", f"/pods/{POD}/finish", {})
    wait_for(lambda: service.status("rachel") == "terminated")
    progress = page(service)
    assert (progress.phase, progress.lab_path) == (Phase.STOPPED, None)


def test_a_deletion_from_its_beginning_to_its_end(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    service.labs.delete("rachel")
    progress = page(service)
    assert (progress.phase, progress.title) == (
        Phase.STOPPED,
        "Your lab is not running",
    )
    assert progress.step == "Clearing away what belonged to your lab"
    # Though the lab is forgotten, its user is led back to the form.
    assert progress.hub_path == "/nb/hub/spawn"


def test_a_cancelled_spawn(cluster: Cluster) -> None:
    service = stuck_spawn(cluster)
    spawn = service.labs.operation("rachel")
    service.labs.delete("rachel")
    assert page(service).phase is Phase.CANCELLED
    assert describe_progress(spawn, None, None).phase is Phase.CANCELLED


def test_a_deletion_that_failed(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control.faults({"method": "DELETE", "path": "/pods/", "status": 400})
    with pytest.raises(LabDeletionError):
        service.labs.delete("rachel")
    progress = page(service)
    assert progress.title == "Your lab could not be shut down"
    assert progress.advice is not None
    assert "keeps your lab from being removed" in progress.advice.happened


def _no_secret(cluster: Cluster) -> None:
    cluster.call(lambda s: s.store.delete("Secret", "nublado", "nublado-lab-secret"))


def _no_key(cluster: Cluster) -> None:
    cluster.call(
        lambda s: s.store.mutate(
            "Secret", "nublado", "nublado-lab-secret", lambda obj: obj["data"].clear()
        )
    )


def _refuse(status: int, body: object) -> Strike:
    rule = {"method": "POST", "path": "/pods$", "status": status, "body": body}
    return lambda cluster: cluster.control.faults(rule)


@pytest.mark.parametrize(
    ("strike", "happened"),
    [
        (_no_secret, "not set up completely"),
        (_no_key, "not set up completely"),
        (_refuse(422, "oops"), "has refused something"),
        (_refuse(403, QUOTA), "more than you may use"),
        (_refuse(403, {**QUOTA, "message": "no"}), "has refused something"),
    ],
)
def test_what_fails_before_the_pod_is_explained(
    cluster: Cluster, strike: Strike, happened: str
) -> None:
    strike(cluster)
    service = cluster.service()
    service.spawn("rachel")
    progress = page(service)
    assert (progress.phase, progress.title) == (
        Phase.FAILED,
        "Your lab could not be started",
    )
    assert progress.advice is not None
    assert happened in progress.advice.happened
    assert progress.advice.remedy
    assert progress.hub_path == "/nb/hub/spawn"


def _finish(**options: object) -> Strike:
    return lambda cluster: cluster.control("POST", f"/pods/{POD}/finish", options)


def _vanish(cluster: Cluster) -> None:
    namespace, name = POD.split("/")
    cluster.call(lambda s: s.store.delete("Pod", namespace, name, grace_seconds=0))


@pytest.mark.parametrize(
    ("strike", "happened"),
    [
        (_finish(exit_code=137, reason="OOMKilled"), "ran out of memory"),
        (_finish(exit_code=1), "A program in your lab ended"),
        (_finish(exit_code=0), "A program in your lab ended"),
        (lambda cluster: cluster.control("POST", f"/pods/{POD}/evict"), "ran short"),
        (_vanish, "was removed"),
    ],
)
def test_what_becomes_of_the_pod_is_explained(
    cluster: Cluster, strike: Strike, happened: str
) -> None:
    service = stuck_spawn(cluster)
    strike(cluster)
    service.messages("rachel")
    advice = page(service).advice
    assert advice is not None
    assert happened in advice.happened


def _lose_nodes(cluster: Cluster) -> None:
    for node in ("node-1", "node-2", "node-3"):
        cluster.control("DELETE", f"/nodes/{node}")


@pytest.mark.parametrize(
    ("strike", "happened", "waited_for"),
    [
        (
            lambda cluster: cluster.control.settings(failing_pulls=["sciplat/lab"]),
            "could not be fetched",
            " pull",
        ),
        (_lose_nodes, "No machine had room", "FailedScheduling: 0/0 nodes"),
        (
            lambda cluster: cluster.control.settings(pull_rules={"sciplat/lab": 60.0}),
            "took too long",
            "Pulling: Pulling image",
        ),
        (
            lambda cluster: cluster.control.settings(exits={"inithome": 1}),
            "A program in your lab ended",
            "",
        ),
    ],
)
def test_what_took_so_long_is_explained(
    strike: Strike, happened: str, waited_for: str
) -> None:
    with Cluster(spawn_timeout=8.0) as cluster:
        strike(cluster)
        service = cluster.service()
        reason = service.spawn("rachel")[-2]
        advice = page(service).advice
    assert reason.startswith("Lab spawn timed out after 8.0: ")
    assert waited_for in reason
    assert f"(Pod {POD}" in reason
    assert "sciplat/lab:recommended" in reason
    assert advice is not None
    assert happened in advice.happened


def test_places_that_are_not_known_are_not_linked(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    spawn = service.labs.operation("rachel")
    assert describe_progress(spawn, None, None).hub_path is None
    assert describe_progress(spawn, None, "/somewhere/").hub_path is None
