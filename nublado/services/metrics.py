"""The metrics of the service, for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector, CollectorRegistry

from nublado.models.domain.lab import LabStatus
from nublado.services.operation import OperationKind
from nublado.services.status import StatusService

__all__ = ["make_registry"]


def make_registry(status: StatusService) -> CollectorRegistry:
    """Create the metrics, which are collected from the status on each scrape."""
    registry = CollectorRegistry()
    registry.register(_ServiceCollector(status))
    return registry


class _ServiceCollector(Collector):
    def __init__(self, status: StatusService) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        """Collect the state of the service."""
        status = self._status.status()
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
        yield GaugeMetricFamily(
            "nublado_event_streams", "Event streams that are open", status.streams
        )
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
        success = GaugeMetricFamily(
            "nublado_job_last_success_timestamp_seconds",
            "When a background job last succeeded",
            labels=["job"],
        )
        failures = GaugeMetricFamily(
            "nublado_job_failures",
            "How often a background job has failed since it last succeeded",
            labels=["job"],
        )
        for name, job in status.jobs.items():
            success.add_metric([name], job.last_success.timestamp())
            failures.add_metric([name], job.failures)
        yield success
        yield failures


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
