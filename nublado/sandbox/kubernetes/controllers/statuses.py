"""Statuses of pods and containers, as a kubelet writes them.

References
----------
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from collections.abc import Callable

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.store import now

__all__ = [
    "Change",
    "begun",
    "container_state",
    "disrupted",
    "evicted",
    "running",
    "set_condition",
    "terminated",
    "unready",
    "waiting",
]

Change = Callable[[JSON], None]


def waiting(reason: str, message: str | None = None) -> JSON:
    """State of a container that has not started."""
    state = {"reason": reason}
    if message:
        state["message"] = message
    return {"waiting": state}


def running() -> JSON:
    """State of a container that runs."""
    return {"running": {"startedAt": now()}}


def terminated(exit_code: int, reason: str | None = None) -> JSON:
    """State of a container that has ended."""
    why = reason or ("Completed" if exit_code == 0 else "Error")
    return {
        "terminated": {
            "exitCode": exit_code,
            "reason": why,
            "startedAt": now(),
            "finishedAt": now(),
        }
    }


def begun(pod: JSON) -> None:
    """Give a pod the status with which a kubelet takes it up."""
    status, spec = pod["status"], pod["spec"]
    if "startTime" in status:
        return
    has_init = bool(spec.get("initContainers"))
    number = int(pod["metadata"]["uid"][:4], 16)
    status.update(
        startTime=now(),
        hostIP="10.0.0.1",
        podIP=f"10.244.{number // 256}.{number % 256}",
    )
    for field, containers, reason in (
        ("initContainerStatuses", spec.get("initContainers") or (), "PodInitializing"),
        (
            "containerStatuses",
            spec["containers"],
            "PodInitializing" if has_init else "ContainerCreating",
        ),
    ):
        statuses = [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": False,
                "started": False,
                "restartCount": 0,
                "state": waiting(reason),
                "lastState": {},
            }
            for container in containers
        ]
        if statuses:
            status[field] = statuses
    set_condition(pod, "Initialized", met=not has_init)
    set_condition(pod, "ContainersReady", met=False)
    set_condition(pod, "Ready", met=False)


def set_condition(pod: JSON, type_: str, *, met: bool) -> None:
    """Set a condition of a pod."""
    status = "True" if met else "False"
    conditions = pod["status"].setdefault("conditions", [])
    for condition in conditions:
        if condition["type"] == type_:
            if condition["status"] != status:
                condition.update(status=status, lastTransitionTime=now())
            return
    conditions.append({"type": type_, "status": status, "lastTransitionTime": now()})


def disrupted(reason: str, message: str) -> Change:
    """Make the change that says why a pod is ended from outside."""

    def change(pod: JSON) -> None:
        conditions = pod["status"].setdefault("conditions", [])
        others = [c for c in conditions if c["type"] != "DisruptionTarget"]
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": reason,
            "message": message,
            "lastTransitionTime": now(),
        }
        pod["status"]["conditions"] = [*others, condition]

    return change


def unready(pod: JSON) -> None:
    """Mark a pod as not ready, since nobody hears of it any more."""
    set_condition(pod, "Ready", met=False)


def container_state(
    field: str, name: str, state: JSON, *, restarted: bool = False
) -> Change:
    """Make the change that gives a container a state, and the pod what follows.

    Parameters
    ----------
    field
        ``containerStatuses`` or ``initContainerStatuses``.
    name
        Name of the container.
    state
        Its new state.
    restarted
        Whether it is a further attempt.
    """

    def change(pod: JSON) -> None:
        for status in pod["status"][field]:
            if status["name"] != name:
                continue
            if "terminated" in status["state"]:
                status["lastState"] = status["state"]
            status["state"] = state
            is_running = "running" in state
            done = field == "initContainerStatuses" and _succeeded(state)
            status.update(started=is_running, ready=is_running or done)
            if is_running:
                status["imageID"] = status["image"]
            status["restartCount"] += restarted
        _follow_containers(pod)

    return change


def evicted(message: str) -> Change:
    """Make the change that ends a pod because its node cannot keep it."""

    def change(pod: JSON) -> None:
        pod["status"].update(phase="Failed", reason="Evicted", message=message)
        for status in pod["status"].get("containerStatuses") or ():
            status.update(state=terminated(137, "Error"), ready=False, started=False)
        set_condition(pod, "Ready", met=False)
        set_condition(pod, "ContainersReady", met=False)
        disrupted("TerminationByKubelet", message)(pod)

    return change


def _succeeded(state: JSON) -> bool:
    return bool(state.get("terminated", {}).get("exitCode") == 0)


def _follow_containers(pod: JSON) -> None:
    """Let the phase and the conditions of a pod follow from its containers."""
    status = pod["status"]
    init = status.get("initContainerStatuses") or []
    states = [container["state"] for container in status["containerStatuses"]]
    initialized = all(_succeeded(container["state"]) for container in init)
    set_condition(pod, "Initialized", met=initialized)
    ready = all("running" in state for state in states)
    set_condition(pod, "ContainersReady", met=ready)
    set_condition(pod, "Ready", met=ready)
    if any("running" in state for state in states):
        status["phase"] = "Running"
    elif all("terminated" in state for state in states):
        restarts = pod["spec"]["restartPolicy"]
        succeeded = all(_succeeded(state) for state in states)
        if succeeded and restarts != "Always":
            status["phase"] = "Succeeded"
        elif restarts == "Never":
            status["phase"] = "Failed"
