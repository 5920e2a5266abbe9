"""What operators are told of watches that do not follow the cluster."""

from __future__ import annotations

from structlog.testing import capture_logs

from nublado.services.following import WatchMonitor
from tests.cluster import Cluster
from tests.waiting import wait_for


def test_watches_that_are_lost_are_a_problem_until_they_recover() -> None:
    with Cluster() as cluster:
        service = cluster.service()
        watchers = service.cluster.watchers
        monitor = WatchMonitor(watchers, service.alerts, patience=1.0)
        wait_for(lambda: all(watcher.lost == 0 for watcher in watchers))
        monitor.check()
        assert monitor.problems() == []
        cluster.control.faults({"path": "watch=true", "status": 400})
        cluster.control("POST", "/watches/drop")
        wait_for(lambda: len(monitor.problems()) == 2)
        problem = next(p for p in monitor.problems() if p.startswith("pods "))
        assert "have not been followed since" in problem
        assert "Error watching objects (Pod, status 400)" in problem
        monitor.check()
        monitor.check()
        (failure,) = service.alerts.recent()
        assert failure.event == "Cannot follow cluster"
        assert "namespaces have not been followed" in failure.message
        cluster.control("DELETE", "/faults")
        wait_for(lambda: not monitor.problems())
        with capture_logs() as log:
            monitor.check()
            monitor.check()
        (line,) = log
        assert line["event"] == "Following cluster again"
        assert line["watches"] == "watch-namespaces, watch-pods"
