"""File servers against a cluster in this process: reconciliation above all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nublado.constants import CATEGORY_FILESERVER, LABEL_CATEGORY
from nublado.exceptions import FileserverCreationError, UnknownUserError
from nublado.models.domain.kubernetes import JSON
from nublado.services.alerts import Alerts
from nublado.services.builder.fileserver import FileserverBuilder
from nublado.services.fileserver import FileserverManager
from nublado.storage.kubernetes.fileserver import FileserverStorage, FileserverWatchers
from nublado.storage.kubernetes.objects import ObjectStore
from nublado.storage.kubernetes.pod import reduce_pod
from nublado.storage.kubernetes.resource import INGRESS, JOB, POD
from nublado.storage.kubernetes.watcher import Selection, Watcher
from tests.cluster import Cluster, user
from tests.waiting import wait_for

CONFIG = Path(__file__).parent.parent / "data" / "configs" / "files.yaml"
NAMESPACE = "fileservers"
RACHEL = user("rachel").info
KINDS = ("GafaelfawrIngress", "Ingress", "Service", "Job", "Pod")

MakeManager = Callable[[], FileserverManager]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(config_file=CONFIG) as running:
        yield running


@pytest.fixture
def make_manager(cluster: Cluster) -> Iterator[MakeManager]:
    """Make what manages file servers, as each process has it."""
    cleanup: list[Callable[[], None]] = []

    def make() -> FileserverManager:
        config = cluster.config.fileserver
        assert config is not None
        client = cluster.client()
        ours = f"{LABEL_CATEGORY}={CATEGORY_FILESERVER}"
        pods = Watcher(client, Selection(POD, labels=LABEL_CATEGORY, reduce=reduce_pod))
        jobs = Watcher(client, Selection(JOB, namespace=NAMESPACE, labels=ours))
        ingresses = Watcher(
            client, Selection(INGRESS, namespace=NAMESPACE, labels=ours)
        )
        watchers = FileserverWatchers(pods, jobs, ingresses)
        storage = FileserverStorage(NAMESPACE, ObjectStore(client), watchers)
        volumes = cluster.config.lab.volumes
        builder = FileserverBuilder(config, volumes, "https://data.example.org")
        manager = FileserverManager(config, builder, storage, Alerts("test", None))
        for watcher in watchers:
            watcher.listen(manager.observe)
            watcher.start()
        for watcher in watchers:
            assert watcher.wait_synced(10)
            cleanup.append(watcher.stop)
        cleanup.append(manager.stop)
        return manager

    yield make
    for end in reversed(cleanup):
        end()


@pytest.fixture
def manager(make_manager: MakeManager) -> FileserverManager:
    return make_manager()


def objects(cluster: Cluster) -> dict[str, list[JSON]]:
    """All objects of file servers, by kind; none are left out."""

    def collect(sandbox: Any) -> dict[str, list[JSON]]:
        found = {kind: sandbox.store.list(kind, NAMESPACE) for kind in KINDS}
        return {kind: items for kind, items in found.items() if items}

    collected: dict[str, list[JSON]] = cluster.call(collect)
    return collected


def test_valid_server_survives_ten_reconciliations(
    cluster: Cluster, manager: FileserverManager
) -> None:
    manager.create(RACHEL)
    before = objects(cluster)
    for _ in range(10):
        manager.reconcile()
        assert manager.running() == ["rachel"]
    assert objects(cluster) == before


def test_another_process_adopts_a_valid_server(
    cluster: Cluster, make_manager: MakeManager
) -> None:
    make_manager().create(RACHEL)
    before = objects(cluster)
    other = make_manager()
    other.reconcile()
    assert other.running() == ["rachel"]
    assert objects(cluster) == before


def test_server_whose_job_was_deleted_is_cleaned_up(
    cluster: Cluster, manager: FileserverManager
) -> None:
    manager.create(RACHEL)
    cluster.call(
        lambda sandbox: sandbox.store.delete(
            "Job", NAMESPACE, "rachel-fs", propagation="Background"
        )
    )
    wait_for(lambda: manager.running() == [])
    wait_for(lambda: objects(cluster) == {})


def test_server_without_an_ingress_is_cleaned_up(
    cluster: Cluster, manager: FileserverManager
) -> None:
    manager.create(RACHEL)
    cluster.control("PATCH", "/settings", {"makes_ingresses": False})
    cluster.call(lambda s: s.store.delete("Ingress", NAMESPACE, "rachel-fs"))
    manager.reconcile()
    wait_for(lambda: objects(cluster) == {})
    assert manager.running() == []


def test_object_of_somebody_else_is_never_touched(
    cluster: Cluster, manager: FileserverManager
) -> None:
    service = {"metadata": {"name": "other"}, "spec": {"ports": [{"port": 80}]}}
    cluster.call(lambda sandbox: sandbox.store.create("Service", service, NAMESPACE))
    manager.create(RACHEL)
    manager.reconcile()
    manager.delete("rachel")
    assert [s["metadata"]["name"] for s in objects(cluster)["Service"]] == ["other"]


def test_failed_creation_may_be_tried_again(
    cluster: Cluster, manager: FileserverManager
) -> None:
    rule = {"method": "POST", "path": "/jobs", "status": 422, "count": 1}
    cluster.control("PUT", "/faults", {"rules": [rule]})
    with pytest.raises(FileserverCreationError, match="Error creating object"):
        manager.create(RACHEL)
    assert objects(cluster) == {}
    manager.create(RACHEL)
    assert manager.running() == ["rachel"]


def test_overloaded_server_is_asked_again(
    cluster: Cluster, manager: FileserverManager
) -> None:
    rule = {"status": 429, "retry_after": 0, "probability": 0.3}
    cluster.control("PUT", "/faults", {"rules": [rule], "seed": 5})
    manager.create(RACHEL)
    manager.delete("rachel")
    assert objects(cluster) == {}


def test_unknown_server_cannot_be_deleted(manager: FileserverManager) -> None:
    with pytest.raises(UnknownUserError):
        manager.delete("rachel")
