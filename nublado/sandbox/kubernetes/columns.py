"""The columns in which ``kubectl get`` shows each kind.

References
----------
https://github.com/kubernetes/kubernetes/blob/master/pkg/printers/internalversion/printers.go
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.pod_columns import (
    pod_ready,
    pod_restarts,
    pod_status,
)
from nublado.sandbox.kubernetes.resources import Kind

__all__ = ["Column", "columns_of", "human_duration"]

Cell = Callable[[JSON], object]

_ROLE = "node-role.kubernetes.io/"
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Parameters
    ----------
    name
        Its heading.
    cell
        Makes its cell for an object.
    wide
        Whether it is shown with ``-o wide`` only.
    number
        Whether its cells are numbers.
    """

    name: str
    cell: Cell
    wide: bool = False
    number: bool = False


def columns_of(kind: Kind) -> Sequence[Column]:
    """Columns of a kind; those shown with ``-o wide`` only come last."""
    return _ALL.get(kind.kind, (_NAME, _AGE))


def human_duration(seconds: float) -> str:
    """Write a duration as ``kubectl`` does, in two units at most."""
    rest = int(seconds)
    if rest < 0:
        return "<invalid>" if rest < -1 else "0s"
    unit, minor = next(
        (units for below, *units in _DURATIONS if rest < below), (_YEAR, 0)
    )
    text = f"{rest // unit}{_UNITS[unit]}"
    if minor and (more := rest % unit // minor):
        text += f"{more}{_UNITS[minor]}"
    return text


_UNITS = {1: "s", _MINUTE: "m", _HOUR: "h", _DAY: "d", _YEAR: "y"}

_DURATIONS = (
    (2 * _MINUTE, 1, 0),
    (10 * _MINUTE, _MINUTE, 1),
    (3 * _HOUR, _MINUTE, 0),
    (8 * _HOUR, _HOUR, _MINUTE),
    (2 * _DAY, _HOUR, 0),
    (8 * _DAY, _DAY, _HOUR),
    (2 * _YEAR, _DAY, 0),
    (8 * _YEAR, _YEAR, _DAY),
)
"""Below how many seconds which units are written, and down to which."""


def _since(timestamp: str | None) -> str:
    if not timestamp:
        return "<unknown>"
    age = datetime.now(UTC) - datetime.fromisoformat(timestamp)
    return human_duration(age.total_seconds())


def _at(*path: str, missing: str = "<none>") -> Cell:
    """Cell that shows a field."""

    def cell(obj: JSON) -> object:
        value: object = obj
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return missing if value in (None, "") else str(value)

    return cell


def _count(*fields: str) -> Cell:
    return lambda obj: sum(len(obj.get(field) or {}) for field in fields)


def _pairs(labels: JSON | None, separator: str = ",") -> str:
    texts = [f"{key}={value}" for key, value in sorted((labels or {}).items())]
    return separator.join(texts) or "<none>"


def _deletable(*path: str) -> Cell:
    phase = _at(*path, missing="")
    return lambda obj: (
        "Terminating" if "deletionTimestamp" in obj["metadata"] else phase(obj)
    )


def _access_modes(claim: JSON) -> str:
    short = {
        "ReadWriteOnce": "RWO",
        "ReadOnlyMany": "ROX",
        "ReadWriteMany": "RWX",
        "ReadWriteOncePod": "RWOP",
    }
    modes = claim.get("status", {}).get("accessModes") or ()
    return ",".join(short.get(mode, mode) for mode in modes)


def _node_status(node: JSON) -> str:
    conditions = node.get("status", {}).get("conditions") or ()
    ready = next((c["status"] for c in conditions if c["type"] == "Ready"), "Unknown")
    suffix = ",SchedulingDisabled" if node["spec"].get("unschedulable") else ""
    return ("Ready" if ready == "True" else "NotReady") + suffix


def _node_roles(node: JSON) -> str:
    labels = node["metadata"].get("labels") or {}
    roles = sorted(key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE))
    return ",".join(roles) or "<none>"


def _node_address(kind: str) -> Cell:
    def cell(node: JSON) -> str:
        addresses = node.get("status", {}).get("addresses") or ()
        found = [entry["address"] for entry in addresses if entry["type"] == kind]
        return found[0] if found else "<none>"

    return cell


def _service_ports(service: JSON) -> str:
    texts = []
    for port in service["spec"].get("ports") or ():
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        texts.append(f"{port['port']}{node_port}/{port.get('protocol', 'TCP')}")
    return ",".join(texts) or "<none>"


def _event_object(event: JSON) -> str:
    involved = event.get("involvedObject") or {}
    return f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}"


def _event_seen(*fields: str) -> Cell:
    def cell(event: JSON) -> str:
        moments = (*(event.get(f) for f in fields), event.get("eventTime"))
        return _since(next(filter(None, moments), None))

    return cell


def _ingress_hosts(ingress: JSON) -> str:
    rules = ingress["spec"].get("rules") or ()
    return ",".join(rule.get("host") or "*" for rule in rules) or "*"


def _ingress_address(ingress: JSON) -> str:
    balancer = ingress.get("status", {}).get("loadBalancer") or {}
    entries = balancer.get("ingress") or ()
    return ",".join(e.get("ip") or e.get("hostname") or "" for e in entries)


def _job_status(job: JSON) -> str:
    conditions = job.get("status", {}).get("conditions") or ()
    true = {c["type"] for c in conditions if c["status"] == "True"}
    for condition in ("Complete", "Failed", "Suspended"):
        if condition in true:
            return condition
    return "Terminating" if "deletionTimestamp" in job["metadata"] else "Running"


def _job_completions(job: JSON) -> str:
    done = job.get("status", {}).get("succeeded", 0)
    return f"{done}/{job['spec'].get('completions', 1)}"


def _job_duration(job: JSON) -> str:
    status = job.get("status") or {}
    if "startTime" not in status:
        return ""
    start = datetime.fromisoformat(status["startTime"])
    end = status.get("completionTime")
    stop = datetime.fromisoformat(end) if end else datetime.now(UTC)
    return human_duration((stop - start).total_seconds())


def _quota(field: str) -> Cell:
    """Cell of what is used and what is allowed, of limits or of the rest."""

    def cell(quota: JSON) -> str:
        status = quota.get("status") or {}
        hard, used = status.get("hard") or {}, status.get("used") or {}
        return ", ".join(
            f"{name}: {used.get(name, 0)}/{hard[name]}"
            for name in sorted(hard)
            if name.startswith("limits.") is (field == "limits")
        )

    return cell


_NAME = Column("Name", _at("metadata", "name"))
_AGE = Column("Age", lambda obj: _since(obj["metadata"].get("creationTimestamp")))


def _columns(*columns: Column, age: bool = True) -> tuple[Column, ...]:
    narrow = [column for column in columns if not column.wide]
    wide = [column for column in columns if column.wide]
    return (_NAME, *narrow, *([_AGE] if age else ()), *wide)


_INFO = ("status", "nodeInfo")

_ALL: dict[str, tuple[Column, ...]] = {
    "ConfigMap": _columns(Column("Data", _count("data", "binaryData"), number=True)),
    "Event": (
        Column("Last Seen", _event_seen("lastTimestamp", "firstTimestamp")),
        Column("Type", _at("type", missing="")),
        Column("Reason", _at("reason", missing="")),
        Column("Object", _event_object),
        Column("Source", _at("source", "component", missing=""), wide=True),
        Column("Message", _at("message", missing="")),
        Column("First Seen", _event_seen("firstTimestamp"), wide=True),
        Column("Count", _at("count", missing="1"), wide=True),
        Column("Name", _at("metadata", "name"), wide=True),
    ),
    "Ingress": _columns(
        Column("Class", _at("spec", "ingressClassName")),
        Column("Hosts", _ingress_hosts),
        Column("Address", _ingress_address),
        Column("Ports", lambda obj: "80, 443" if obj["spec"].get("tls") else "80"),
    ),
    "Job": _columns(
        Column("Status", _job_status),
        Column("Completions", _job_completions),
        Column("Duration", _job_duration),
    ),
    "Lease": _columns(Column("Holder", _at("spec", "holderIdentity", missing=""))),
    "Namespace": _columns(Column("Status", _deletable("status", "phase"))),
    "NetworkPolicy": _columns(
        Column(
            "Pod-Selector",
            lambda obj: _pairs((obj["spec"]["podSelector"]).get("matchLabels")),
        )
    ),
    "Node": _columns(
        Column("Status", _node_status),
        Column("Roles", _node_roles),
        Column("Version", _at(*_INFO, "kubeletVersion", missing="")),
        Column("Internal-IP", _node_address("InternalIP"), wide=True),
        Column("External-IP", _node_address("ExternalIP"), wide=True),
        Column("OS-Image", _at(*_INFO, "osImage", missing="<unknown>"), wide=True),
        Column(
            "Kernel-Version",
            _at(*_INFO, "kernelVersion", missing="<unknown>"),
            wide=True,
        ),
        Column(
            "Container-Runtime",
            _at(*_INFO, "containerRuntimeVersion", missing="<unknown>"),
            wide=True,
        ),
    ),
    "PersistentVolumeClaim": _columns(
        Column("Status", _deletable("status", "phase")),
        Column("Volume", _at("spec", "volumeName", missing="")),
        Column("Capacity", _at("status", "capacity", "storage", missing="")),
        Column("Access Modes", _access_modes),
        Column("StorageClass", _at("spec", "storageClassName", missing="")),
        Column("VolumeMode", _at("spec", "volumeMode", missing=""), wide=True),
    ),
    "Pod": _columns(
        Column("Ready", pod_ready),
        Column("Status", pod_status),
        Column("Restarts", pod_restarts),
        Column("IP", _at("status", "podIP"), wide=True),
        Column("Node", _at("spec", "nodeName"), wide=True),
        Column("Nominated Node", _at("status", "nominatedNodeName"), wide=True),
        Column("Readiness Gates", lambda _: "<none>", wide=True),
    ),
    "ResourceQuota": _columns(
        Column("Request", _quota("requests")), Column("Limit", _quota("limits"))
    ),
    "Secret": _columns(
        Column("Type", _at("type", missing="")),
        Column("Data", _count("data"), number=True),
    ),
    "Service": _columns(
        Column("Type", _at("spec", "type")),
        Column("Cluster-IP", _at("spec", "clusterIP")),
        Column("External-IP", lambda _: "<none>"),
        Column("Port(s)", _service_ports),
        Column("Selector", lambda obj: _pairs(obj["spec"].get("selector")), wide=True),
    ),
    "ServiceAccount": _columns(Column("Secrets", _count("secrets"), number=True)),
    "StorageClass": _columns(
        Column("Provisioner", _at("provisioner", missing="")),
        Column("ReclaimPolicy", _at("reclaimPolicy", missing="Delete")),
        Column("VolumeBindingMode", _at("volumeBindingMode", missing="Immediate")),
        Column(
            "AllowVolumeExpansion",
            lambda obj: str(bool(obj.get("allowVolumeExpansion"))).lower(),
        ),
    ),
}
