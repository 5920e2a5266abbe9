"""Labs that end, or are restarted, though nobody asked for it."""

from __future__ import annotations

from structlog.testing import capture_logs

from nublado.models.domain.history import HistoryEntry, HistoryKind
from tests.cluster import Cluster, Service
from tests.waiting import wait_for

NAMESPACE, NAME = "userlabs-rachel", "rachel-nb"
POD = f"{NAMESPACE}/{NAME}"
DEATHS = (HistoryKind.LAB_ENDED, HistoryKind.LAB_RESTARTED)


def deaths(service: Service) -> list[HistoryEntry]:
    return [e for e in service.history.of("rachel") if e.kind in DEATHS]


def test_each_restart_is_told_once(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.control("POST", f"/pods/{POD}/kill", {"reason": "OOMKilled"})
    wait_for(lambda: len(deaths(service)) == 1)
    cluster.control("POST", f"/pods/{POD}/kill", {"reason": "OOMKilled"})
    wait_for(lambda: len(deaths(service)) == 2)
    latest, earlier = deaths(service)
    assert latest.kind is earlier.kind is HistoryKind.LAB_RESTARTED
    assert latest.cause == "out-of-memory"
    assert latest.reason is not None
    assert "exited with code 137 (OOMKilled)" in latest.reason
    shown = service.progress.describe("rachel").ends
    assert "more than 3 GB of memory" in str(shown[0].happened)


def test_an_eviction_is_one_line_and_one_entry(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    with capture_logs() as log:
        cluster.control("POST", f"/pods/{POD}/evict", {"message": "low on memory"})
        wait_for(lambda: deaths(service))
    (line,) = [line for line in log if line["event"] == "Lab ended"]
    assert (line["user"], line["reason"]) == ("rachel", "evicted")
    assert line["image"].startswith("registry.example.org/sciplat/lab:")
    assert line["node"].startswith("node-")
    (entry,) = deaths(service)
    assert entry.kind is HistoryKind.LAB_ENDED


def test_a_pod_that_somebody_deletes_is_told(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    cluster.call(lambda sandbox: sandbox.store.delete("Pod", NAMESPACE, NAME))
    wait_for(lambda: deaths(service))
    (entry,) = deaths(service)
    assert entry.cause == "deleted"
    assert "somebody other than this service" in (entry.reason or "")


def test_what_this_service_deletes_has_not_died(cluster: Cluster) -> None:
    service = cluster.service()
    service.spawn("rachel")
    service.labs.delete("rachel")
    assert deaths(service) == []
    assert [e.kind for e in service.history.of("rachel")] == [
        HistoryKind.DELETION,
        HistoryKind.SPAWN,
    ]
