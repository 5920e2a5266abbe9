"""What makes objects and their updates valid, besides names and pods."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Sequence

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.defaults import containers_of
from nublado.sandbox.kubernetes.metadata import clone
from nublado.sandbox.kubernetes.names import (
    Problem,
    bad_subdomain,
    invalid_value,
    metadata_problems,
)
from nublado.sandbox.kubernetes.pod_validation import pod_spec_problems
from nublado.sandbox.kubernetes.quantities import quantity
from nublado.sandbox.kubernetes.resources import Kind

__all__ = ["check_shape", "problems_of", "problems_of_update"]

_MAX_DATA = 1024 * 1024
"""Most bytes that the values of a config map or secret may have together."""

_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_SUBJECTS = ("Group", "ServiceAccount", "User")
_IMMUTABLE = "Forbidden: field is immutable when `immutable` is set"
_POD_UPDATES = (
    "Forbidden: pod updates may not change fields other than"
    " `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing"
    " tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if"
    " it was previously negative)"
)
_CLAIM_UPDATES = (
    "Forbidden: spec is immutable after creation except resources.requests and"
    " volumeAttributesClassName for bound claims"
)


def check_shape(kind: Kind, obj: JSON) -> None:
    """Check types where clients get them wrong.

    Raises
    ------
    TypeError
        Raised if something is not of its type, worded as Kubernetes words it.
    """
    metadata = obj["metadata"]
    if not isinstance(metadata.get("name", ""), str):
        raise _mistyped(metadata["name"], "ObjectMeta.metadata.name", "string")
    maps = {f"ObjectMeta.{f}": metadata.get(f) for f in ("labels", "annotations")}
    if kind.kind in ("ConfigMap", "Secret"):
        fields = ("data", "binaryData", "stringData")
        maps |= {f"{kind.kind}.{field}": obj.get(field) for field in fields}
    for name, content in maps.items():
        if content is not None and not isinstance(content, dict):
            raise _mistyped(content, name, "map[string]string")
        for value in (content or {}).values():
            if not isinstance(value, str):
                raise _mistyped(value, name, "string")
    if kind.kind == "Pod":
        _check_environment(obj.get("spec", {}))


def _check_environment(spec: JSON) -> None:
    for _, container in containers_of(spec):
        for variable in container.get("env") or ():
            if not isinstance(variable.get("value", ""), str):
                name = "EnvVar.spec.containers.env.value"
                raise _mistyped(variable["value"], name, "string")


def _mistyped(value: object, field: str, wanted: str) -> TypeError:
    names = {bool: "bool", dict: "object", list: "array", str: "string"}
    got = names.get(type(value), "number")
    return TypeError(
        f"json: cannot unmarshal {got} into Go struct field {field} of type {wanted}"
    )


def problems_of(kind: Kind, obj: JSON) -> list[Problem]:
    """What is wrong with an object."""
    problems = list(metadata_problems(kind, obj["metadata"]))
    check = _CHECKS.get(kind.kind)
    if check is not None:
        problems += check(obj)
    return problems


def problems_of_update(kind: Kind, old: JSON, new: JSON) -> list[Problem]:
    """What is wrong with replacing an object with another."""
    problems: list[Problem] = []
    before, after = (set(o["metadata"].get("finalizers", ())) for o in (old, new))
    if "deletionTimestamp" in old["metadata"] and after - before:
        added = ", ".join(json.dumps(name) for name in sorted(after - before))
        why = "no new finalizers can be added if the object is being deleted, found"
        why += f" new finalizers []string{{{added}}}"
        problems.append(("metadata.finalizers", f"Forbidden: {why}"))
    check = _UPDATE_CHECKS.get(kind.kind)
    if check is not None:
        problems += check(old, new)
    return problems


def _data(obj: JSON) -> Iterator[Problem]:
    size = 0
    for field in ("data", "binaryData"):
        for key, value in (obj.get(field) or {}).items():
            if not _DATA_KEY.fullmatch(key) or len(key) > 253 or key in (".", ".."):
                why = "a valid config key must consist of alphanumeric characters, '-',"
                why += " '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name',"
                why += f" regex used for validation is '{_DATA_KEY.pattern}')"
                yield f"{field}[{key}]", invalid_value(key, why)
            if obj["kind"] == "Secret" or field == "binaryData":
                size += len(_decode(value))
            else:
                size += len(value.encode())
    if size > _MAX_DATA:
        yield "data", f"Too long: may not be more than {_MAX_DATA} bytes"


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as e:
        raise ValueError(f"illegal base64 data: {e}") from e


def _pod(obj: JSON) -> Iterator[Problem]:
    yield from pod_spec_problems("spec", obj.get("spec") or {})


def _job(obj: JSON) -> Iterator[Problem]:
    template = (obj.get("spec") or {}).get("template") or {}
    spec = template.get("spec") or {}
    yield from pod_spec_problems("spec.template.spec", spec)
    if spec.get("restartPolicy") not in ("Never", "OnFailure"):
        field = "spec.template.spec.restartPolicy"
        value = json.dumps(spec.get("restartPolicy", "Always"))
        why = f'Unsupported value: {value}: supported values: "OnFailure", "Never"'
        yield field, why


def _service(obj: JSON) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None":
        return
    if not spec.get("ports"):
        yield "spec.ports", "Required value"
    for i, port in enumerate(spec.get("ports") or ()):
        if not isinstance(port.get("port"), int) or not 0 < port["port"] < 65536:
            why = "must be between 1 and 65535, inclusive"
            yield f"spec.ports[{i}].port", invalid_value(port.get("port", 0), why)


def _claim(obj: JSON) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    if not spec.get("accessModes"):
        yield "spec.accessModes", "Required value: at least 1 access mode is required"
    requests = (spec.get("resources") or {}).get("requests") or {}
    if "storage" not in requests:
        yield "spec.resources[storage]", "Required value"
    yield from _amounts("spec.resources.requests", requests)
    name = spec.get("storageClassName")
    if name and (why := bad_subdomain(name)):
        yield "spec.storageClassName", invalid_value(name, why)


def _quota(obj: JSON) -> Iterator[Problem]:
    yield from _amounts("spec.hard", (obj.get("spec") or {}).get("hard") or {})


def _role(obj: JSON) -> Iterator[Problem]:
    for i, rule in enumerate(obj.get("rules") or ()):
        if not rule.get("verbs"):
            why = "Required value: verbs must contain at least one value"
            yield f"rules[{i}].verbs", why


def _binding(obj: JSON) -> Iterator[Problem]:
    namespaced = obj["kind"] == "RoleBinding"
    roles = ("ClusterRole", "Role") if namespaced else ("ClusterRole",)
    yield from _reference("roleRef", obj.get("roleRef") or {}, roles)
    for i, subject in enumerate(obj.get("subjects") or ()):
        yield from _reference(f"subjects[{i}]", subject, _SUBJECTS)


def _reference(path: str, reference: JSON, kinds: Sequence[str]) -> Iterator[Problem]:
    if reference.get("kind") not in kinds:
        value = json.dumps(reference.get("kind", ""))
        supported = ", ".join(json.dumps(kind) for kind in kinds)
        yield (
            f"{path}.kind",
            f"Unsupported value: {value}: supported values: {supported}",
        )
    if not reference.get("name"):
        yield f"{path}.name", "Required value"


def _amounts(path: str, amounts: JSON) -> Iterator[Problem]:
    for name, text in amounts.items():
        try:
            quantity(text)
        except ValueError as e:
            yield f"{path}[{name}]", invalid_value(text, str(e))


def _data_update(old: JSON, new: JSON) -> Iterator[Problem]:
    if old["kind"] == "Secret" and new.get("type", "Opaque") != old["type"]:
        yield "type", invalid_value(new.get("type"), "field is immutable")
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        yield "immutable", _IMMUTABLE
    for field in ("data", "binaryData"):
        if old.get(field, {}) != new.get(field, {}):
            yield field, _IMMUTABLE


def _pod_update(old: JSON, new: JSON) -> Iterator[Problem]:
    if _unchangeable(old["spec"]) != _unchangeable(new["spec"]):
        yield "spec", _POD_UPDATES


def _unchangeable(spec: JSON) -> JSON:
    rest: JSON = clone(spec)
    for field in (
        "activeDeadlineSeconds",
        "terminationGracePeriodSeconds",
        "tolerations",
    ):
        rest.pop(field, None)
    for _, container in containers_of(rest):
        container.pop("image", None)
        container.pop("imagePullPolicy", None)
    return rest


def _claim_update(old: JSON, new: JSON) -> Iterator[Problem]:
    changes = {f for f in old["spec"] | new["spec"] if _differ(old, new, f)}
    if changes - {"resources", "volumeName"}:
        yield "spec", _CLAIM_UPDATES


def _job_update(old: JSON, new: JSON) -> Iterator[Problem]:
    for field in ("template", "selector", "completions"):
        if _differ(old, new, field):
            value = json.dumps(new["spec"].get(field))
            yield f"spec.{field}", f"Invalid value: {value}: field is immutable"


def _service_update(old: JSON, new: JSON) -> Iterator[Problem]:
    if old["spec"].get("clusterIP") and _differ(old, new, "clusterIP"):
        value = [new["spec"].get("clusterIP")]
        yield "spec.clusterIPs[0]", invalid_value(value, "may not change once set")


def _differ(old: JSON, new: JSON, field: str) -> bool:
    return bool(old["spec"].get(field) != new["spec"].get(field))


_CHECKS: dict[str, Callable[[JSON], Iterator[Problem]]] = {
    "ClusterRole": _role,
    "ClusterRoleBinding": _binding,
    "ConfigMap": _data,
    "Job": _job,
    "PersistentVolumeClaim": _claim,
    "Pod": _pod,
    "ResourceQuota": _quota,
    "Role": _role,
    "RoleBinding": _binding,
    "Secret": _data,
    "Service": _service,
}

_UPDATE_CHECKS: dict[str, Callable[[JSON, JSON], Iterator[Problem]]] = {
    "ConfigMap": _data_update,
    "Job": _job_update,
    "PersistentVolumeClaim": _claim_update,
    "Pod": _pod_update,
    "Secret": _data_update,
    "Service": _service_update,
}
