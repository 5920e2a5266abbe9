"""What the service counts and measures as it happens, for Prometheus.

Every label has few values: kinds, verbs, routes, reasons of a list; never a user,
a node or an image. Gauges of what there is now are collected at each scrape, in
`nublado.services.metrics`.

References
----------
https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from prometheus_client import Counter, Histogram
from prometheus_client.registry import Collector

__all__ = [
    "ALERTS",
    "DELETION_SECONDS",
    "FILESERVER_SECONDS",
    "INSTRUMENTS",
    "KUBERNETES_SECONDS",
    "LABS_DIED",
    "LAB_RESTARTS",
    "PREPULL_SECONDS",
    "REQUEST_SECONDS",
    "SERVICE_SECONDS",
    "SPAWNS",
    "SPAWN_SECONDS",
    "WATCH_MISSES",
]

_FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SLOW = (0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 180, 300, 600, 1200)

SPAWN_SECONDS = Histogram(
    "nublado_spawn_duration_seconds",
    "How long spawns took, as a whole (total) and in each phase",
    ["phase", "result"],
    buckets=_SLOW,
    registry=None,
)
SPAWNS = Counter(
    "nublado_spawns",
    "Spawns that are over, by result and by cause of the failure",
    ["result", "cause"],
    registry=None,
)
DELETION_SECONDS = Histogram(
    "nublado_deletion_duration_seconds",
    "How long deletions of labs took",
    ["result"],
    buckets=_SLOW,
    registry=None,
)
FILESERVER_SECONDS = Histogram(
    "nublado_fileserver_operation_duration_seconds",
    "How long file servers took to be created and deleted",
    ["operation", "result"],
    buckets=_SLOW,
    registry=None,
)
PREPULL_SECONDS = Histogram(
    "nublado_prepull_duration_seconds",
    "How long it took to pull an image to a node ahead of time",
    ["result"],
    buckets=_SLOW,
    registry=None,
)
LABS_DIED = Counter(
    "nublado_labs_died",
    "Labs that ended after they had started, not by request",
    ["reason"],
    registry=None,
)
LAB_RESTARTS = Counter(
    "nublado_lab_restarts",
    "Labs whose container ended and was started again by its node",
    ["reason"],
    registry=None,
)
ALERTS = Counter(
    "nublado_alerts",
    "Alerts that were raised, by what they say",
    ["event"],
    registry=None,
)
REQUEST_SECONDS = Histogram(
    "nublado_request_duration_seconds",
    "How long responses to requests took",
    ["method", "route", "status"],
    buckets=_FAST,
    registry=None,
)
KUBERNETES_SECONDS = Histogram(
    "nublado_kubernetes_request_duration_seconds",
    "How long requests to Kubernetes took, each attempt counted",
    ["verb", "kind", "status"],
    buckets=_FAST,
    registry=None,
)
SERVICE_SECONDS = Histogram(
    "nublado_service_request_duration_seconds",
    "How long Gafaelfawr, registries and Slack took to respond",
    ["service", "status"],
    buckets=_FAST,
    registry=None,
)
WATCH_MISSES = Counter(
    "nublado_watch_misses",
    "Changes that a watch should have shown and did not",
    ["watch"],
    registry=None,
)

INSTRUMENTS: tuple[Collector, ...] = (
    SPAWN_SECONDS,
    SPAWNS,
    DELETION_SECONDS,
    FILESERVER_SECONDS,
    PREPULL_SECONDS,
    LABS_DIED,
    LAB_RESTARTS,
    ALERTS,
    REQUEST_SECONDS,
    KUBERNETES_SECONDS,
    SERVICE_SECONDS,
    WATCH_MISSES,
)
"""All of them, to be registered where they are shown."""
