"""Pod Security Standards, enforced where a namespace asks for them.

References
----------
https://kubernetes.io/docs/concepts/security/pod-security-standards/
https://github.com/kubernetes/pod-security-admission/tree/master/policy
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.defaults import containers_of
from nublado.sandbox.kubernetes.errors import forbidden
from nublado.sandbox.kubernetes.objects import Objects
from nublado.sandbox.kubernetes.resources import kind_named

__all__ = ["enforce_pod_security"]

_LABEL = "pod-security.kubernetes.io/enforce"
_BASELINE_CAPABILITIES = (
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
)
_RESTRICTED_VOLUMES = (
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
)

Check = Callable[[JSON, list[JSON]], str | None]


def enforce_pod_security(store: Objects, pod: JSON) -> None:
    """Check a new pod against the standard that its namespace enforces.

    Raises
    ------
    ApiError
        Raised if it violates the standard (403); names all violations.
    """
    metadata = pod["metadata"]
    namespace = store.get("Namespace", None, metadata["namespace"])
    labels = namespace["metadata"].get("labels") or {}
    checks = _CHECKS.get(labels.get(_LABEL, ""))
    if checks is None:
        return
    containers = [container for _, container in containers_of(pod["spec"])]
    found = [check(pod["spec"], containers) for check in checks]
    violations = ", ".join(text for text in found if text)
    if violations:
        level = f"{labels[_LABEL]}:{labels.get(f'{_LABEL}-version', 'latest')}"
        why = f'violates PodSecurity "{level}": {violations}'
        raise forbidden(kind_named("Pod"), metadata["name"], why)


# --- Baseline -----------------------------------------------------------


def _added_capabilities(_: JSON, containers: list[JSON]) -> str | None:
    return _capabilities(containers, _BASELINE_CAPABILITIES, "non-default capabilities")


def _host_namespaces(spec: JSON, _: list[JSON]) -> str | None:
    fields = ("hostNetwork", "hostPID", "hostIPC")
    used = ", ".join(f"{field}=true" for field in fields if spec.get(field))
    return f"host namespaces ({used})" if used else None


def _host_paths(spec: JSON, _: list[JSON]) -> str | None:
    names = [v["name"] for v in spec.get("volumes") or () if "hostPath" in v]
    return f"hostPath volumes ({_named('volume', names)})" if names else None


def _host_ports(_: JSON, containers: list[JSON]) -> str | None:
    ports = {
        container["name"]: [
            str(port["hostPort"])
            for port in container.get("ports") or ()
            if port.get("hostPort")
        ]
        for container in containers
    }
    users = [name for name, used in ports.items() if used]
    if not users:
        return None
    used = sorted({port for each in ports.values() for port in each})
    verb = "uses" if len(users) == 1 else "use"
    what = "hostPort" if len(used) == 1 else "hostPorts"
    return f"hostPort ({_named('container', users)} {verb} {what} {', '.join(used)})"


def _privileged(_: JSON, containers: list[JSON]) -> str | None:
    names = [c["name"] for c in containers if _security(c).get("privileged")]
    must = "must not set securityContext.privileged=true"
    return f"privileged ({_named('container', names)} {must})" if names else None


def _unconfined(spec: JSON, containers: list[JSON]) -> str | None:
    names = [c["name"] for c in containers if _seccomp(c) == "Unconfined"]
    holders = ["pod"] if _seccomp(spec) == "Unconfined" else []
    if names:
        holders.append(_named("container", names))
    must = 'must not set securityContext.seccompProfile.type to "Unconfined"'
    return f"seccompProfile ({' and '.join(holders)} {must})" if holders else None


# --- Restricted ---------------------------------------------------------


def _escalation(_: JSON, containers: list[JSON]) -> str | None:
    names = [
        c["name"]
        for c in containers
        if _security(c).get("allowPrivilegeEscalation") is not False
    ]
    must = "must set securityContext.allowPrivilegeEscalation=false"
    if not names:
        return None
    return f"allowPrivilegeEscalation != false ({_named('container', names)} {must})"


def _kept_capabilities(_: JSON, containers: list[JSON]) -> str | None:
    keeping = [
        c["name"]
        for c in containers
        if "ALL" not in (_security(c).get("capabilities") or {}).get("drop", ())
    ]
    parts = []
    if keeping:
        must = 'must set securityContext.capabilities.drop=["ALL"]'
        parts.append(f"{_named('container', keeping)} {must}")
    added = _capabilities(containers, {"NET_BIND_SERVICE"}, "")
    if added:
        parts.append(added.strip()[1:-1])
    return f"unrestricted capabilities ({'; '.join(parts)})" if parts else None


def _volume_types(spec: JSON, _: list[JSON]) -> str | None:
    bad: dict[str, str] = {}
    for volume in spec.get("volumes") or ():
        kinds = sorted(set(volume) - {"name"} - set(_RESTRICTED_VOLUMES))
        if kinds:
            bad[volume["name"]] = kinds[0]
    if not bad:
        return None
    kinds = sorted(set(bad.values()))
    use = "uses restricted volume type" if len(bad) == 1 else "use restricted volume"
    if len(bad) > 1:
        use += " type" if len(kinds) == 1 else " types"
    return f"restricted volume types ({_named('volume', bad)} {use} {_quoted(kinds)})"


def _root_allowed(spec: JSON, containers: list[JSON]) -> str | None:
    of_pod = _security(spec).get("runAsNonRoot")
    silent = [
        c["name"]
        for c in containers
        if _security(c).get("runAsNonRoot", of_pod) is None
    ]
    explicit = [
        c["name"] for c in containers if _security(c).get("runAsNonRoot") is False
    ]
    parts = []
    if of_pod is False:
        parts.append("pod must not set securityContext.runAsNonRoot=false")
    if explicit:
        must = "must not set securityContext.runAsNonRoot=false"
        parts.append(f"{_named('container', explicit)} {must}")
    if silent and not parts:
        must = "must set securityContext.runAsNonRoot=true"
        parts.append(f"pod or {_named('container', silent)} {must}")
    return f"runAsNonRoot != true ({', '.join(parts)})" if parts else None


def _root_user(spec: JSON, containers: list[JSON]) -> str | None:
    names = [c["name"] for c in containers if _security(c).get("runAsUser") == 0]
    holders = ["pod"] if _security(spec).get("runAsUser") == 0 else []
    if names:
        holders.append(_named("container", names))
    must = "must not set runAsUser=0"
    return f"runAsUser=0 ({' and '.join(holders)} {must})" if holders else None


def _no_seccomp(spec: JSON, containers: list[JSON]) -> str | None:
    of_pod = _seccomp(spec)
    names = [
        c["name"]
        for c in containers
        if (_seccomp(c) or of_pod) not in ("RuntimeDefault", "Localhost")
    ]
    must = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or'
    if not names:
        return None
    return f'seccompProfile (pod or {_named("container", names)} {must} "Localhost")'


_BASELINE: tuple[Check, ...] = (
    _added_capabilities,
    _host_namespaces,
    _host_paths,
    _host_ports,
    _privileged,
    _unconfined,
)
_CHECKS: dict[str, tuple[Check, ...]] = {
    "baseline": _BASELINE,
    "restricted": (
        _host_namespaces,
        _host_ports,
        _privileged,
        _escalation,
        _kept_capabilities,
        _volume_types,
        _root_allowed,
        _root_user,
        _no_seccomp,
    ),
}
"""Checks of each level, in the order in which violations are named."""


def _capabilities(
    containers: list[JSON], allowed: Iterable[str], title: str
) -> str | None:
    names, bad = [], set()
    for container in containers:
        added = (_security(container).get("capabilities") or {}).get("add") or ()
        forbidden_ones = set(added) - set(allowed)
        if forbidden_ones:
            names.append(container["name"])
            bad |= forbidden_ones
    if not names:
        return None
    must = (
        f"must not include {_quoted(sorted(bad))} in securityContext.capabilities.add"
    )
    return f"{title} ({_named('container', names)} {must})"


def _security(holder: JSON) -> JSON:
    return holder.get("securityContext") or {}


def _seccomp(holder: JSON) -> str | None:
    return (_security(holder).get("seccompProfile") or {}).get("type")


def _named(what: str, names: Iterable[str]) -> str:
    listed = list(names)
    return f"{what}{'s' * (len(listed) != 1)} {_quoted(listed)}"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
