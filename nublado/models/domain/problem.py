"""What does not work as it should, in the words of operators and of users."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["Finding", "Problem", "ProblemKind"]


class ProblemKind(StrEnum):
    """What is wrong; the value names its entry of the runbook."""

    PROCESS = "process"
    STARTING = "starting"
    KUBERNETES_FAILS = "kubernetes-fails"
    KUBERNETES_SLOW = "kubernetes-slow"
    NOT_FOLLOWED = "cluster-not-followed"
    GAFAELFAWR = "login-service"
    REGISTRY = "registry"
    JOB_FAILS = "background-job"
    NODES_LOST = "nodes-lost"
    SPAWNS_FAIL = "spawns-fail"
    SPAWNS_WAIT = "spawns-wait"
    LABS_DIE = "labs-die"
    PREPULLING = "prepulling"
    CONFIGURATION = "configuration"
    FILESERVERS = "file-servers"
    THREADS = "threads"
    STREAMS = "streams"

    @property
    def headline(self) -> str:
        """What is wrong, in a few words."""
        return _WORDS[self][0]

    @property
    def impact(self) -> str:
        """What it means for users."""
        return _WORDS[self][1]


_WORDS = {
    ProblemKind.PROCESS: (
        "A part of the process has died",
        "Some of what follows is stale; the liveness probe has the process restarted.",
    ),
    ProblemKind.STARTING: (
        "The service is not fully up",
        "What is named cannot be used yet; requests for it get 503.",
    ),
    ProblemKind.KUBERNETES_FAILS: (
        "Kubernetes fails",
        "Labs and file servers may not start or stop; those that run are not touched.",
    ),
    ProblemKind.KUBERNETES_SLOW: (
        "Kubernetes is slow",
        "Labs take longer to start and to stop.",
    ),
    ProblemKind.NOT_FOLLOWED: (
        "The cluster is not followed",
        "The state of labs is told as last known; spawns notice changes late.",
    ),
    ProblemKind.GAFAELFAWR: (
        "The login service does not answer",
        "Nobody can start a lab or see the form; labs that run are not touched.",
    ),
    ProblemKind.REGISTRY: (
        "The registry does not answer",
        "New images do not show; labs with images that no node has may not start.",
    ),
    ProblemKind.JOB_FAILS: (
        "A background job fails",
        "What it keeps current is as of its last success.",
    ),
    ProblemKind.NODES_LOST: (
        "Nodes do not answer",
        "Labs on them cannot be reached, and there is less room for new ones.",
    ),
    ProblemKind.SPAWNS_FAIL: (
        "Labs fail to start",
        "Users whose labs failed have been told why, and can try again.",
    ),
    ProblemKind.SPAWNS_WAIT: (
        "Labs wait to start",
        "Users see that their lab waits, until its time is up.",
    ),
    ProblemKind.LABS_DIE: (
        "Labs end or restart unasked",
        "Their users have lost what was only in memory.",
    ),
    ProblemKind.PREPULLING: (
        "Prepulling is stuck",
        "Labs with these images start slowly, or not at all, on these nodes.",
    ),
    ProblemKind.CONFIGURATION: (
        "Configuration cannot be used",
        "Nothing yet: the service runs with what it has read, until it is restarted.",
    ),
    ProblemKind.FILESERVERS: (
        "File servers do not start",
        "Users cannot mount their files; labs are not concerned.",
    ),
    ProblemKind.THREADS: (
        "Threads for requests are nearly used up",
        "Responses come late; beyond the limit requests wait.",
    ),
    ProblemKind.STREAMS: (
        "Event streams are nearly used up",
        "Beyond the limit, progress of spawns comes late.",
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found.

    Parameters
    ----------
    cause
        Why, in words.
    since
        When it began; None if that is when it was first found.
    """

    cause: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong now.

    Parameters
    ----------
    kind
        What it is.
    since
        When it began.
    cause
        Why, in words.
    """

    kind: ProblemKind
    since: datetime
    cause: str

    def __str__(self) -> str:
        return f"{self.kind.headline} since {self.since:%H:%M:%S} UTC: {self.cause}"
