"""What operators want to know of labs: where, of what, and why they ended."""

from __future__ import annotations

from collections.abc import Callable

from nublado.models.domain.kubernetes import (
    JSON,
    created_at,
    is_terminating,
    name_of,
)
from nublado.models.domain.lab import LabStatus
from nublado.models.domain.status import ObjectLine
from nublado.services.lab.context import LabContext
from nublado.services.lab.record import LabRecord
from nublado.services.observed.pod_status import describe_pod_end, waiting_notices
from nublado.storage.kubernetes.resource import (
    CONFIG_MAP,
    NAMESPACE,
    NETWORK_POLICY,
    POD,
    RESOURCE_QUOTA,
    SERVICE,
    ObjectRef,
)
from nublado.timeout import Timeout

__all__ = ["LabInspector"]

_READ_SECONDS = 5.0
_OVER = frozenset({LabStatus.FAILED, LabStatus.TERMINATED})


class LabInspector:
    """Looks at labs; what is shown of all of them costs no requests.

    Parameters
    ----------
    labs
        What labs are made with.
    """

    def __init__(self, labs: LabContext) -> None:
        self._labs = labs
        self._pods = labs.cluster.watcher(POD).cache

    def node_of(self, username: str) -> str | None:
        """Node on which a lab is; None if it has none."""
        pod = self._pod(username)
        return (pod.get("spec") or {}).get("nodeName") if pod else None

    def reason_of(self, record: LabRecord) -> str | None:
        """Why a lab has ended, or cannot start; None if all is well."""
        state = record.state
        if state is None:
            return None
        pod = self._pod(record.username)
        if state.status is LabStatus.PENDING:
            notices = waiting_notices(pod) if pod else []
            return "; ".join(f"{n.reason}: {n.message}" for n in notices) or None
        if state.status not in _OVER:
            return None
        for entry in self._labs.history.of(record.username):
            if entry.reason is not None:
                return entry.reason
        return describe_pod_end(pod) if pod else "Its pod is gone"

    def objects(self, username: str) -> tuple[ObjectLine, ...]:
        """Read of which objects a lab consists.

        Secrets are left out: they are never read.

        Raises
        ------
        NubladoError
            Raised if Kubernetes does not say so within 5 s.
        """
        names = self._labs.builder.names(username)
        timeout = Timeout("Reading objects", _READ_SECONDS)
        space = names.namespace
        namespace = self._read(NAMESPACE.at(None, space), timeout)
        if namespace is None:
            return ()
        quota = self._labs.cluster.list(RESOURCE_QUOTA, timeout, namespace=space)
        maps = self._labs.cluster.list(CONFIG_MAP, timeout, namespace=space)
        pods = self._labs.cluster.list(POD, timeout, namespace=space)
        service = self._read(SERVICE.at(space, names.service), timeout)
        policy = self._read(NETWORK_POLICY.at(space, names.network_policy), timeout)
        return (
            _line("Namespace", namespace, _phase),
            *(_line("Pod", pod, _describe_pod) for pod in pods),
            *(_line("ResourceQuota", q, _describe_quota) for q in quota),
            *(_line("ConfigMap", m, _describe_map) for m in maps),
            *(_line("Service", s, _describe_service) for s in (service,) if s),
            *(_line("NetworkPolicy", p, lambda _: "") for p in (policy,) if p),
        )

    def _read(self, ref: ObjectRef, timeout: Timeout) -> JSON | None:
        return self._labs.cluster.read(ref, timeout)

    def _pod(self, username: str) -> JSON | None:
        names = self._labs.builder.names(username)
        return self._pods.get((names.namespace, names.pod))


def _line(kind: str, obj: JSON, describe: Callable[[JSON], str]) -> ObjectLine:
    text = "is being deleted" if is_terminating(obj) else describe(obj)
    return ObjectLine(kind, name_of(obj), created_at(obj), text)


def _phase(obj: JSON) -> str:
    return str((obj.get("status") or {}).get("phase") or "")


def _describe_pod(pod: JSON) -> str:
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    containers = [
        f"{c['name']} {_state_of(c)}"
        for key in ("initContainerStatuses", "containerStatuses")
        for c in status.get(key) or ()
    ]
    node = spec.get("nodeName")
    parts = [_phase(pod), f"on {node}" if node else "on no node", *containers]
    return ", ".join(filter(None, parts))


def _state_of(container: JSON) -> str:
    for state, facts in (container.get("state") or {}).items():
        reason = (facts or {}).get("reason")
        restarts = container.get("restartCount") or 0
        times = f", restarted {restarts} times" if restarts else ""
        return f"{state} ({reason}){times}" if reason else f"{state}{times}"
    return "waiting"


def _describe_quota(quota: JSON) -> str:
    status = quota.get("status") or {}
    used = status.get("used") or {}
    return ", ".join(
        f"{name}: {used.get(name, '0')} of {hard}"
        for name, hard in sorted((status.get("hard") or {}).items())
    )


def _describe_map(config_map: JSON) -> str:
    return f"{len(config_map.get('data') or {})} entries"


def _describe_service(service: JSON) -> str:
    ports = (service.get("spec") or {}).get("ports") or ()
    return ", ".join(f"port {port.get('port')}" for port in ports)
