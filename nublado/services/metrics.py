"""The metrics of the service, for Prometheus.

What happens is counted as it happens, in `nublado.metrics`; what there is now is
collected here at each scrape, from what is in memory.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector, CollectorRegistry

from nublado.metrics import INSTRUMENTS, LAB_RESTARTS, LABS_DIED, SPAWNS
from nublado.models.domain.failure import Cause
from nublado.models.domain.history import Result
from nublado.models.domain.lab import LabStatus
from nublado.models.domain.problem import ProblemKind
from nublado.models.domain.status import ServiceStatus
from nublado.services.load import RequestLoad
from nublado.services.observed.pod_end import EndReason
from nublado.services.operation import OperationKind
from nublado.services.status import StatusService

__all__ = ["make_registry"]

Queues = Callable[[], Mapping[str, int]]


def make_registry(
    status: StatusService, load: RequestLoad, queues: Queues
) -> CollectorRegistry:
    """Create the metrics of a process.

    Parameters
    ----------
    status
        State of the service.
    load
        Threads that are busy with requests.
    queues
        Returns how much waits or is in progress where.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    _begin_with_zero()
    for instrument in INSTRUMENTS:
        registry.register(instrument)
    registry.register(_ServiceCollector(status, load, queues))
    return registry


def _begin_with_zero() -> None:
    """Show what has never happened: the first increase from nothing is not seen."""
    for reason in EndReason:
        LABS_DIED.labels(reason.value)
        LAB_RESTARTS.labels(reason.value)
    for cause in Cause:
        SPAWNS.labels(Result.FAILED.value, cause.value)
    for result in Result:
        if result is not Result.FAILED:
            SPAWNS.labels(result.value, "")


class _ServiceCollector(Collector):
    def __init__(
        self, status: StatusService, load: RequestLoad, queues: Queues
    ) -> None:
        self._status = status
        self._load = load
        self._queues = queues

    def describe(self) -> Iterable[Metric]:
        """Name nothing ahead: what there is depends on the configuration."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Collect the state of the service."""
        status = self._status.status()
        yield InfoMetricFamily(
            "nublado_build", "The release that runs", {"version": status.version}
        )
        yield InfoMetricFamily(
            "nublado_runbook",
            "Where operators read what to do; the kind of a problem is the fragment",
            {"url": status.runbook.url},
        )
        yield from _problems(status)
        yield _gauge(
            "nublado_configuration_changed",
            "Whether the configuration file is another than the one that runs",
            int(status.configuration.has_changed),
        )
        yield _counts(
            "nublado_labs",
            "Labs by status",
            "status",
            (lab.status for lab in status.labs),
            LabStatus,
        )
        yield _counts(
            "nublado_operations",
            "Operations in progress",
            "kind",
            (operation.kind for operation in status.operations),
            OperationKind,
        )
        yield from self._limits(status)
        yield from _images(status)
        yield from _watches(status)
        yield from _jobs(status)

    def _limits(self, status: ServiceStatus) -> Iterator[Metric]:
        yield _gauge(
            "nublado_event_streams", "Event streams that are open", status.streams
        )
        yield _gauge(
            "nublado_event_streams_limit",
            "Event streams that may be open",
            status.most_streams,
        )
        yield _gauge(
            "nublado_requests_in_progress",
            "Requests that threads are busy with",
            self._load.busy,
        )
        yield _gauge(
            "nublado_request_threads", "Threads for requests", self._load.limit
        )
        yield _gauge(
            "nublado_threads", "Threads of the process", threading.active_count()
        )
        queues = GaugeMetricFamily(
            "nublado_queue_length",
            "What waits or is in progress",
            labels=["queue"],
        )
        for name, length in self._queues().items():
            queues.add_metric([name], length)
        yield queues


def _problems(status: ServiceStatus) -> Iterator[Metric]:
    """Show all kinds, so that an alert can tell an end from a missing metric."""
    found = {problem.kind: problem for problem in status.problems}
    present = GaugeMetricFamily(
        "nublado_problem", "Whether something is wrong (1) or not (0)", labels=["kind"]
    )
    since = GaugeMetricFamily(
        "nublado_problem_started_timestamp_seconds",
        "When what is wrong began",
        labels=["kind"],
    )
    for kind in ProblemKind:
        problem = found.get(kind)
        present.add_metric([kind.value], int(problem is not None))
        if problem is not None:
            since.add_metric([kind.value], problem.since.timestamp())
    yield present
    yield since


def _images(status: ServiceStatus) -> Iterator[Metric]:
    prepulls = status.prepulls
    eligible = sum(node.node.eligible for node in prepulls.nodes)
    nodes = GaugeMetricFamily(
        "nublado_nodes", "Nodes by whether labs may run there", labels=["eligible"]
    )
    nodes.add_metric(["true"], eligible)
    nodes.add_metric(["false"], len(prepulls.nodes) - eligible)
    yield nodes
    yield _gauge(
        "nublado_prepull_images",
        "Images that all nodes are to have",
        len(prepulls.prepulled) + len(prepulls.pending),
    )
    yield _gauge(
        "nublado_prepull_images_missing",
        "Images that some node lacks",
        len(prepulls.pending),
    )
    yield _gauge(
        "nublado_prepull_pulls_missing",
        "Pulls that are left, one for each image and node that lacks it",
        sum(len(image.missing) for image in prepulls.pending),
    )
    yield _gauge(
        "nublado_prepull_nodes_incomplete",
        "Nodes that lack an image",
        len({node for image in prepulls.pending for node in image.missing}),
    )


def _watches(status: ServiceStatus) -> Iterator[Metric]:
    idle = GaugeMetricFamily(
        "nublado_watch_idle_seconds",
        "Time since Kubernetes last sent anything to a watch",
        labels=["watch"],
    )
    lost = GaugeMetricFamily(
        "nublado_watch_lost_seconds",
        "Time for which the objects of a watch have not been followed",
        labels=["watch"],
    )
    connections = CounterMetricFamily(
        "nublado_watch_connections",
        "How often a watch has connected",
        labels=["watch"],
    )
    for watcher in status.watchers:
        label = f"watch-{watcher.name}"
        idle.add_metric([label], watcher.idle)
        lost.add_metric([label], watcher.lost)
        connections.add_metric([label], watcher.connections)
    yield idle
    yield lost
    yield connections


def _jobs(status: ServiceStatus) -> Iterator[Metric]:
    success = GaugeMetricFamily(
        "nublado_job_last_success_timestamp_seconds",
        "When a background job last succeeded",
        labels=["name"],
    )
    failures = GaugeMetricFamily(
        "nublado_job_failures",
        "How often a background job has failed since it last succeeded",
        labels=["name"],
    )
    for name, job in status.jobs.items():
        success.add_metric([name], job.last_success.timestamp())
        failures.add_metric([name], job.failures)
    yield success
    yield failures


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value)


def _counts(
    name: str,
    documentation: str,
    label: str,
    found: Iterable[str],
    values: Iterable[str],
) -> GaugeMetricFamily:
    counts = Counter(found)
    gauge = GaugeMetricFamily(name, documentation, labels=[label])
    for value in values:
        gauge.add_metric([str(value)], counts[value])
    return gauge
