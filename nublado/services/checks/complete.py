"""All checks of the service's health."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nublado.models.domain.job import JobState
from nublado.models.domain.problem import Finding, ProblemKind
from nublado.services.checks.configuration import cannot_be_used
from nublado.services.checks.systems import (
    fails,
    follows,
    is_slow,
    jobs_fail,
    nodes_lost,
)
from nublado.services.checks.work import (
    fileservers_fail,
    labs_die,
    near_limit,
    prepulling_is_stuck,
    spawns_fail,
    spawns_wait,
)
from nublado.services.configuration import ConfigurationWatch
from nublado.services.fileserver.service import FileserverService
from nublado.services.health import Check
from nublado.services.history import History
from nublado.services.image import ImageService
from nublado.services.lab.record import LabTable
from nublado.services.load import RequestLoad
from nublado.services.prepuller import Prepuller
from nublado.services.pulse import Pulse
from nublado.services.streams import StreamWriter
from nublado.storage.gafaelfawr import GafaelfawrClient
from nublado.storage.kubernetes.cluster import Cluster

__all__ = ["all_checks"]

Reasons = Callable[[], list[str]]
"""Says why something is not as it should be; empty if it is."""


def all_checks(
    *,
    unhealthy: Reasons,
    not_up: Reasons,
    unready: Reasons,
    cluster: Cluster,
    gafaelfawr: GafaelfawrClient,
    images: ImageService,
    pulse: Pulse,
    history: History,
    labs: LabTable,
    fileservers: FileserverService | None,
    prepuller: Prepuller,
    configuration: ConfigurationWatch,
    jobs: Callable[[], Mapping[str, JobState]],
    load: RequestLoad,
    streams: StreamWriter,
) -> dict[ProblemKind, Check]:
    """Make what is looked for, the gravest first.

    Parameters
    ----------
    unhealthy
        Why only a restart can help.
    not_up
        Why parts cannot be used yet.
    unready
        Why the state of labs cannot be told.
    cluster, gafaelfawr, images
        Systems that requests go to.
    pulse
        Knows of nodes that do not answer.
    history, labs, fileservers, prepuller
        What is done for users; file servers are None where they are disabled.
    configuration
        Knows whether the next start would find one that can be used.
    jobs
        Returns the state of each background job.
    load, streams
        What there is only so much of.
    """
    follow = follows(cluster.watchers)
    return {
        ProblemKind.PROCESS: _joined(unhealthy),
        ProblemKind.STARTING: _joined(not_up),
        ProblemKind.KUBERNETES_FAILS: fails(cluster.traffic),
        # Before labs have been read, nothing is followed.
        ProblemKind.NOT_FOLLOWED: lambda: None if unready() else follow(),
        ProblemKind.KUBERNETES_SLOW: is_slow(cluster.traffic),
        ProblemKind.GAFAELFAWR: fails(gafaelfawr.traffic),
        ProblemKind.REGISTRY: fails(images.traffic),
        ProblemKind.NODES_LOST: nodes_lost(lambda: pulse.lost_nodes),
        ProblemKind.SPAWNS_FAIL: spawns_fail(history),
        ProblemKind.SPAWNS_WAIT: spawns_wait(labs),
        ProblemKind.LABS_DIE: labs_die(history),
        ProblemKind.FILESERVERS: fileservers_fail(history, fileservers),
        ProblemKind.PREPULLING: prepulling_is_stuck(prepuller.stuck),
        ProblemKind.CONFIGURATION: cannot_be_used(lambda: configuration.file),
        ProblemKind.JOB_FAILS: jobs_fail(jobs),
        ProblemKind.THREADS: near_limit(
            "threads are busy", lambda: load.busy, load.limit
        ),
        ProblemKind.STREAMS: near_limit(
            "event streams are open", lambda: streams.open, streams.limit
        ),
    }


def _joined(reasons: Reasons) -> Check:
    """Make a check of what gives reasons."""

    def check() -> Finding | None:
        found = reasons()
        return Finding("; ".join(found)) if found else None

    return check
