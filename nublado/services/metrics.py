"""What the service tells Prometheus of itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector, CollectorRegistry

from nublado.models.domain.job import JobState
from nublado.models.domain.lab import LabStatus
from nublado.services.lab.record import LabTable
from nublado.services.operation import OperationKind
from nublado.services.streams import StreamSlots
from nublado.storage.kubernetes.watcher import Watcher

__all__ = ["make_registry"]


def make_registry(
    labs: LabTable,
    streams: StreamSlots,
    watchers: Sequence[Watcher],
    jobs: Callable[[], Mapping[str, JobState]],
) -> CollectorRegistry:
    """Make the metrics, which are read off the state whenever they are asked for.

    Parameters
    ----------
    labs
        Labs and the operations on them.
    streams
        Event streams.
    watchers
        Watches of Kubernetes.
    jobs
        Tells how each background job fares.
    """
    registry = CollectorRegistry()
    registry.register(_ServiceCollector(labs, streams, watchers, jobs))
    return registry


class _ServiceCollector(Collector):
    def __init__(
        self,
        labs: LabTable,
        streams: StreamSlots,
        watchers: Sequence[Watcher],
        jobs: Callable[[], Mapping[str, JobState]],
    ) -> None:
        self._labs = labs
        self._streams = streams
        self._watchers = watchers
        self._jobs = jobs

    def collect(self) -> Iterable[Metric]:
        """Read off the state."""
        states: Counter[str] = Counter()
        operations: Counter[str] = Counter()
        for record in self._labs:
            if record.state is not None:
                states[record.state.status] += 1
            if record.operation is not None:
                operations[record.operation.kind] += 1
        yield _gauge("nublado_labs", "Labs by status", "status", states, LabStatus)
        yield _gauge(
            "nublado_operations",
            "Operations in progress",
            "kind",
            operations,
            OperationKind,
        )
        yield GaugeMetricFamily(
            "nublado_event_streams", "Event streams that are open", self._streams.open
        )
        silence = GaugeMetricFamily(
            "nublado_watch_silence_seconds",
            "Time since Kubernetes last said anything to a watch",
            labels=["watch"],
        )
        connections = CounterMetricFamily(
            "nublado_watch_connections",
            "How often a watch has connected",
            labels=["watch"],
        )
        for watcher in self._watchers:
            silence.add_metric([watcher.name], watcher.idle)
            connections.add_metric([watcher.name], watcher.connections)
        yield silence
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
        for name, job in self._jobs().items():
            success.add_metric([name], job.last_success.timestamp())
            failures.add_metric([name], job.failures)
        yield success
        yield failures


def _gauge(
    name: str,
    documentation: str,
    label: str,
    counts: Counter[str],
    values: Iterable[str],
) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, documentation, labels=[label])
    for value in values:
        gauge.add_metric([str(value)], counts[value])
    return gauge
