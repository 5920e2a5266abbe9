"""Reads of one object by many at the same moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from nublado.exceptions import OperationCancelledError
from nublado.storage.kubernetes.cluster import Cluster as KubernetesCluster
from nublado.storage.kubernetes.resource import SECRET
from nublado.storage.kubernetes.shared import SharedReads
from nublado.timeout import Cancellation, Timeout
from tests.cluster import Cluster, timeout
from tests.waiting import wait_for

REF = SECRET.at("nublado", "nublado-lab-secret")
SLOW = {"path": "/secrets/", "delay": 1.0}


def hits(cluster: Cluster) -> int:
    found: int = cluster.control("GET", "/faults")["rules"][0]["hits"]
    return found


def test_those_who_ask_while_it_is_read_share_one_request() -> None:
    with Cluster() as cluster, ThreadPoolExecutor(10) as threads:
        reads = SharedReads(KubernetesCluster(cluster.client()))
        cluster.control.faults(SLOW)
        first = threads.submit(reads.read, REF, timeout())
        wait_for(lambda: hits(cluster) == 1)
        others = [threads.submit(reads.read, REF, timeout()) for _ in range(9)]
        found = first.result(60)
        assert found is not None
        assert found["metadata"]["name"] == REF.name
        assert [other.result(60) for other in others] == [found] * 9
        assert hits(cluster) == 1
        # Nothing is kept.
        reads.read(REF, timeout())
        assert hits(cluster) == 2


def test_the_failure_of_one_is_not_that_of_others() -> None:
    with Cluster() as cluster, ThreadPoolExecutor(2) as threads:
        reads = SharedReads(KubernetesCluster(cluster.client()))
        cluster.control.faults({"path": "/secrets/", "status": 503, "retry_after": 1})
        cancellation = Cancellation()
        begun = threading.Event()

        def read(limit: Timeout) -> object:
            begun.set()
            return reads.read(REF, limit)

        first = threads.submit(reads.read, REF, Timeout("Test", 60.0, cancellation))
        wait_for(lambda: hits(cluster) >= 1)
        other = threads.submit(read, timeout())
        assert begun.wait(60)
        cancellation.cancel()
        with pytest.raises(OperationCancelledError):
            first.result(60)
        cluster.control("DELETE", "/faults")
        assert other.result(60) is not None
