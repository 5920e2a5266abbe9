"""Jobs: each makes one pod and ends with it.

References
----------
https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

import asyncio
from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.controllers.base import Controller, Key
from nublado.sandbox.kubernetes.controllers.recorder import EventRecorder
from nublado.sandbox.kubernetes.controllers.settings import ClusterSettings
from nublado.sandbox.kubernetes.store import ApiError, Store, now

__all__ = ["JobController"]

_ENDED = ("Succeeded", "Failed")
_LONGEST_PAUSE = 360.0


@dataclass(frozen=True, slots=True)
class _Refused:
    """A pod that was refused: the pause since, and when it is tried again."""

    pause: float
    next: float


class JobController(Controller):
    """Makes the pods of jobs, again where they failed, and counts how they end.

    Parameters
    ----------
    store, settings, recorder
        The cluster.
    """

    kinds: ClassVar = ("Job", "Pod")

    def __init__(
        self, store: Store, settings: ClusterSettings, recorder: EventRecorder
    ) -> None:
        super().__init__(store)
        self._settings = settings
        self._recorder = recorder
        self._refused: dict[Key, _Refused] = {}

    def changed(self, type_: str, obj: JSON) -> None:
        """Look at a job, or at the job of a pod."""
        metadata = obj["metadata"]
        if obj["kind"] == "Job":
            if type_ == "DELETED":
                self._refused.pop((metadata["namespace"], metadata["name"]), None)
            super().changed(type_, obj)
            return
        for owner in metadata.get("ownerReferences") or ():
            if owner["kind"] == "Job":
                self.look_at((metadata["namespace"], owner["name"]))

    def reconcile(self, key: Key) -> None:
        """Make the pod that a job lacks, and write its status."""
        namespace, name = key
        job = self.store.find("Job", namespace, name)
        if job is None or "deletionTimestamp" in job["metadata"]:
            return
        pods = self._pods(job)
        phases = [pod["status"]["phase"] for pod in pods]
        succeeded, failed = (phases.count(phase) for phase in _ENDED)
        active = len(phases) - succeeded - failed
        is_failed = failed > job["spec"]["backoffLimit"]
        if not (active or succeeded or is_failed or job["spec"]["suspend"]):
            active = int(self._make_pod(job))
        status: JSON = {"active": active, "succeeded": succeeded, "failed": failed}
        if succeeded or is_failed:
            status["conditions"] = [_condition("Complete" if succeeded else "Failed")]
            self._tell_end(job, succeeded=bool(succeeded))
        self.store.mutate("Job", namespace, str(name), lambda obj: _update(obj, status))

    def _make_pod(self, job: JSON) -> bool:
        """Make the pod of a job; False if it is refused, and tried again later."""
        metadata = job["metadata"]
        key: Key = (metadata["namespace"], metadata["name"])
        moment = asyncio.get_running_loop().time()
        refused = self._refused.get(key)
        if refused is not None and moment < refused.next:
            return False
        try:
            pod = self.store.create("Pod", _make_pod(job), key[0])
        except ApiError as e:
            pause = self._settings.job_retry
            if refused is not None:
                pause = min(refused.pause * 2, _LONGEST_PAUSE)
            self._refused[key] = _Refused(pause, moment + pause)
            self._tell(job, "FailedCreate", f"Error creating: {e}", "Warning")
            self.look_at(key, pause)
            return False
        self._refused.pop(key, None)
        name = pod["metadata"]["name"]
        self._tell(job, "SuccessfulCreate", f"Created pod: {name}")
        return True

    def _tell_end(self, job: JSON, *, succeeded: bool) -> None:
        if "conditions" in (job.get("status") or {}):
            return
        if succeeded:
            self._tell(job, "Completed", "Job completed")
        else:
            text = "Job has reached the specified backoff limit"
            self._tell(job, "BackoffLimitExceeded", text, "Warning")

    def _tell(self, job: JSON, reason: str, text: str, type_: str = "Normal") -> None:
        self._recorder.record(
            job, reason, text, component="job-controller", type_=type_
        )

    def _pods(self, job: JSON) -> list[JSON]:
        uid = job["metadata"]["uid"]
        selector = {"batch.kubernetes.io/controller-uid": uid}
        labels = ",".join(f"{key}={value}" for key, value in selector.items())
        return self.store.list("Pod", job["metadata"]["namespace"], labels=labels)


def _make_pod(job: JSON) -> JSON:
    template: JSON = deepcopy(job["spec"]["template"])
    metadata = job["metadata"]
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    template.setdefault("metadata", {}).update(
        generateName=f"{metadata['name']}-", ownerReferences=[owner]
    )
    return template


def _condition(type_: str) -> JSON:
    return {"type": type_, "status": "True", "lastTransitionTime": now()}


def _update(job: JSON, status: JSON) -> None:
    before = job.setdefault("status", {})
    if "conditions" in before:
        status = {**status, "conditions": before["conditions"]}
    before.update(status)
    before.setdefault("startTime", now())
