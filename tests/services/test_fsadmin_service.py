"""The pod for file systems, against a cluster in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from structlog.testing import capture_logs

from nublado.config.model import ContainerImage, FsadminConfig
from nublado.exceptions import (
    FsadminCreationError,
    FsadminDeletionError,
    FsadminPhaseError,
    NoFsadminError,
)
from nublado.models.domain.kubernetes import JSON, uid_of
from nublado.sandbox.deployment import NAMESPACE
from nublado.services.alerts import Alerts
from nublado.services.fsadmin.service import FsadminService
from nublado.services.waiting import WaitingRoom
from nublado.wiring import make_cluster, make_fsadmin
from tests.cluster import Cluster
from tests.waiting import wait_for

_IMAGE = "ghcr.io/example/nublado"

MakeService = Callable[..., FsadminService]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


@pytest.fixture
def make_service(cluster: Cluster) -> Iterator[MakeService]:
    """Make the service, as each process has it."""
    cleanup: list[Callable[[], None]] = []

    def make(timeout: float = 60.0) -> FsadminService:
        connection = make_cluster(cluster.client(), cluster.config)
        service = make_fsadmin(
            config=FsadminConfig(timeout=timeout),
            lab=cluster.config.lab,
            image=ContainerImage(_IMAGE, "15.1.0"),
            namespace=NAMESPACE,
            cluster=connection,
            alerts=Alerts("test", None),
            waiting=WaitingRoom(64),
        )
        connection.start()
        cleanup.append(connection.stop)
        connection.wait_synced(60)
        cleanup.append(service.stop)
        return service

    yield make
    for end in reversed(cleanup):
        end()


@pytest.fixture
def service(make_service: MakeService) -> FsadminService:
    return make_service()


def pod(cluster: Cluster) -> JSON | None:
    found: JSON | None = cluster.call(
        lambda sandbox: sandbox.store.find("Pod", NAMESPACE, "fsadmin")
    )
    return found


def claims(cluster: Cluster) -> list[str]:
    def names(sandbox: Any) -> list[str]:
        found = sandbox.store.list("PersistentVolumeClaim", NAMESPACE)
        return [claim["metadata"]["name"] for claim in found]

    listed: list[str] = cluster.call(names)
    return listed


def test_pod_is_created_seen_and_deleted(
    cluster: Cluster, service: FsadminService
) -> None:
    with pytest.raises(NoFsadminError):
        service.started()
    started = service.create("admin")
    made = pod(cluster)
    assert made is not None
    assert made["status"]["phase"] == "Running"
    assert service.started() == started == service.create("other")
    assert claims(cluster) == ["fsadmin-pvc-scratch"]
    wait_for(lambda: service.line().phase == "Running")
    line = service.line()
    assert (line.pod, line.started, line.username) == ("fsadmin", started, "admin")
    service.delete("admin")
    assert pod(cluster) is None
    assert claims(cluster) == []
    wait_for(lambda: service.line().phase is None)
    service.delete("admin")


def test_who_asks_is_logged(service: FsadminService) -> None:
    with capture_logs() as logs:
        service.create("admin")
        service.create("other")
    warned = [line for line in logs if line["log_level"] == "warning"]
    assert [(line["user"], line["pod"]) for line in warned] == [
        ("admin", f"Pod {NAMESPACE}/fsadmin")
    ]


def test_next_process_finds_the_pod(
    cluster: Cluster, service: FsadminService, make_service: MakeService
) -> None:
    started = service.create("admin")
    before = pod(cluster)
    service.stop()
    another = make_service()
    assert another.started() == started == another.create("other")
    assert before is not None
    assert uid_of(pod(cluster) or {}) == uid_of(before)
    another.delete("admin")
    assert pod(cluster) is None


def test_pod_that_has_ended_is_replaced(
    cluster: Cluster, service: FsadminService
) -> None:
    service.create("admin")
    first = pod(cluster)
    cluster.control("POST", f"/pods/{NAMESPACE}/fsadmin/finish", {"exit_code": 1})
    wait_for(lambda: (pod(cluster) or {})["status"]["phase"] == "Failed")
    with pytest.raises(FsadminPhaseError, match="not running but Failed"):
        service.started()
    service.create("other")
    second = pod(cluster)
    assert first is not None
    assert second is not None
    assert uid_of(first) != uid_of(second)
    assert second["metadata"]["annotations"]["nublado.lsst.io/requested-by"] == "other"


def test_pod_that_cannot_start_is_removed_and_says_why(
    cluster: Cluster, make_service: MakeService
) -> None:
    cluster.control.settings(failing_pulls=[_IMAGE])
    service = make_service(timeout=10.0)
    with pytest.raises(FsadminCreationError, match=r"(?i)timed out.*pull"):
        service.create("admin")
    wait_for(lambda: pod(cluster) is None)


def test_concurrent_requests_make_one_pod(
    cluster: Cluster, service: FsadminService
) -> None:
    with ThreadPoolExecutor(4) as pool:
        started = set(pool.map(service.create, ["admin"] * 4))
    assert started == {service.started()}


def test_deletion_cancels_a_creation(cluster: Cluster, service: FsadminService) -> None:
    cluster.control.settings(pull_seconds=3600)
    failures: list[Exception] = []

    def create() -> None:
        try:
            service.create("admin")
        except FsadminCreationError as e:
            failures.append(e)

    thread = threading.Thread(target=create)
    thread.start()
    wait_for(lambda: pod(cluster) is not None)
    service.delete("other")
    thread.join(60)
    assert [str(e) for e in failures] == [
        "Failed to create fsadmin pod: Operation cancelled"
    ]
    assert pod(cluster) is None


def test_pod_of_somebody_else_is_left_alone(
    cluster: Cluster, service: FsadminService
) -> None:
    foreign = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "fsadmin", "namespace": NAMESPACE},
        "spec": {"containers": [{"name": "theirs", "image": "example.org/theirs"}]},
    }
    cluster.call(lambda sandbox: sandbox.store.create("Pod", foreign, NAMESPACE))
    with pytest.raises(FsadminCreationError, match="has not made it"):
        service.create("admin")
    with pytest.raises(FsadminDeletionError, match="has not made it"):
        service.delete("admin")
    with pytest.raises(NoFsadminError):
        service.started()
    assert pod(cluster) is not None
