"""The state of a file server, read from its objects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from nublado.models.domain.failure import Cause
from nublado.models.domain.kubernetes import JSON, PodPhase, is_terminating, uid_of
from nublado.services.observed.notices import cause_of
from nublado.services.observed.pod_status import waiting_notices

__all__ = ["ObservedFileserver", "Obstacle", "refusal_of_pod"]

_ENDED = (PodPhase.SUCCEEDED, PodPhase.FAILED)


class Obstacle(StrEnum):
    """What keeps users from being served, in the order in which it is overcome."""

    NO_POD = "no pod"
    POD = "pod does not run"
    ENDED = "pod has ended"
    NO_INGRESS = "no ingress"
    NO_ADDRESS = "no address"


@dataclass(frozen=True, slots=True)
class ObservedFileserver:
    """What there is of one user's file server.

    Parameters
    ----------
    job, ingress
        These objects, if they exist.
    pods
        All pods that carry the labels of the file server.
    """

    job: JSON | None = None
    ingress: JSON | None = None
    pods: tuple[JSON, ...] = ()

    @classmethod
    def of(cls, objects: Iterable[tuple[str, JSON]]) -> ObservedFileserver:
        """Put together objects, each with its kind; others do not matter."""
        found: dict[str, list[JSON]] = {}
        for kind, obj in objects:
            found.setdefault(kind, []).append(obj)
        return cls(
            job=next(iter(found.get("Job", ())), None),
            ingress=next(iter(found.get("Ingress", ())), None),
            pods=tuple(found.get("Pod", ())),
        )

    @property
    def job_uid(self) -> str | None:
        """Which job it is; names are used again."""
        return uid_of(self.job) if self.job else None

    def runs(self, job_uid: str, ingress_owner: str) -> bool:
        """Whether users are served by these very objects, not by earlier ones."""
        owners = _owners(self.ingress) if self.ingress else set()
        return (
            self.is_running
            and self.job_uid == job_uid
            and (not owners or ingress_owner in owners)
        )

    @property
    def is_running(self) -> bool:
        """Whether users can be served."""
        pods = [pod for pod in self._pods_of_job if not is_terminating(pod)]
        return self._has_address and any(map(_is_running, pods))

    def has_ended(self, job_uid: str | None) -> bool:
        """Whether the file server of a job has exited, or that job is gone."""
        if job_uid is None or self.job_uid != job_uid:
            return True
        pods = self._pods_of_job
        return bool(pods) and all(_phase(pod) in _ENDED for pod in pods)

    @property
    def has_pod(self) -> bool:
        """Whether its job has a pod, in whatever state."""
        return bool(self._pods_of_job)

    @property
    def obstacle(self) -> Obstacle | None:
        """What keeps users from being served; None if nothing does."""
        pods = self._pods_of_job
        if not pods:
            return Obstacle.NO_POD
        if not any(map(_is_running, pods)):
            has_ended = all(_phase(pod) in _ENDED for pod in pods)
            return Obstacle.ENDED if has_ended else Obstacle.POD
        if self._has_address:
            return None
        return Obstacle.NO_ADDRESS if self.ingress else Obstacle.NO_INGRESS

    @property
    def obstacle_text(self) -> str:
        """The same in words for operators."""
        match self.obstacle:
            case Obstacle.NO_POD:
                return "there is no pod"
            case Obstacle.POD | Obstacle.ENDED:
                return f"pod is {_phase(self._pods_of_job[0])}"
            case Obstacle.NO_INGRESS:
                return "there is no ingress"
            case _:
                return "ingress has no address"

    @property
    def cause(self) -> Cause | None:
        """Why its pod does not run, where Kubernetes says so."""
        notices = [n for pod in self._pods_of_job for n in waiting_notices(pod)]
        causes = (cause_of(notice, main=None) for notice in notices)
        return next(filter(None, causes), None)

    @property
    def _pods_of_job(self) -> list[JSON]:
        """Pods of this very job, not of an earlier one of its name.

        Kubernetes may start a second pod where it has lost sight of the first.
        """
        job = self.job_uid
        return [pod for pod in self.pods if job is not None and job in _owners(pod)]

    @property
    def _has_address(self) -> bool:
        status = (self.ingress or {}).get("status") or {}
        points = (status.get("loadBalancer") or {}).get("ingress") or ()
        return any(point.get("ip") or point.get("hostname") for point in points)


def refusal_of_pod(events: Iterable[JSON]) -> str | None:
    """Why Kubernetes refuses the pod of a job: by admission, quota, or policy.

    Parameters
    ----------
    events
        Events about the job.

    Returns
    -------
    str or None
        The newest message; None if no pod was refused.
    """
    refusals = [event for event in events if event.get("reason") == "FailedCreate"]
    if not refusals:
        return None
    return str(max(refusals, key=_moment).get("message") or "FailedCreate")


def _moment(event: JSON) -> str:
    created: str = event["metadata"].get("creationTimestamp") or ""
    return event.get("lastTimestamp") or event.get("eventTime") or created


def _is_running(pod: JSON) -> bool:
    return _phase(pod) == PodPhase.RUNNING


def _owners(obj: JSON) -> set[str]:
    return {owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ()}


def _phase(pod: JSON) -> str:
    return str((pod.get("status") or {}).get("phase", PodPhase.UNKNOWN))
