"""Jobs: each makes one pod and ends with it.

References
----------
https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

import secrets
from copy import deepcopy
from typing import ClassVar

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.controllers.base import Controller, Key
from nublado.sandbox.kubernetes.store import now

__all__ = ["JobController"]

_ENDED = ("Succeeded", "Failed")


class JobController(Controller):
    """Makes the pods of jobs, again where they failed, and counts how they end."""

    kinds: ClassVar = ("Job", "Pod")

    def changed(self, type_: str, obj: JSON) -> None:
        """Look at a job, or at the job of a pod."""
        if obj["kind"] == "Job":
            super().changed(type_, obj)
            return
        metadata = obj["metadata"]
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
            self.store.create("Pod", _make_pod(job), namespace)
            active = 1
        status: JSON = {"active": active, "succeeded": succeeded, "failed": failed}
        if succeeded or is_failed:
            status["conditions"] = [_condition("Complete" if succeeded else "Failed")]
        self.store.mutate("Job", namespace, str(name), lambda obj: _update(obj, status))

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
    suffix = secrets.token_hex(3)[:5]
    template.setdefault("metadata", {}).update(
        name=f"{metadata['name']}-{suffix}", ownerReferences=[owner]
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
