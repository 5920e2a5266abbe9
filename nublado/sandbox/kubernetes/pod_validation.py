"""What makes the specification of a pod valid.

References
----------
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.defaults import containers_of
from nublado.sandbox.kubernetes.names import (
    Problem,
    bad_label,
    bad_subdomain,
    invalid_value,
)
from nublado.sandbox.kubernetes.quantities import quantity

__all__ = ["pod_spec_problems"]

_VARIABLE = re.compile(r"[^=\x00-\x1f\x7f]+")


def pod_spec_problems(path: str, spec: JSON) -> Iterator[Problem]:
    """What is wrong with the specification of a pod.

    Parameters
    ----------
    path
        Path of the specification in its object.
    spec
        The specification.
    """
    volumes = [str(volume.get("name", "")) for volume in spec.get("volumes") or ()]
    yield from _volume_problems(path, spec, volumes)
    if not spec.get("containers"):
        yield f"{path}.containers", "Required value"
    seen: set[str] = set()
    for place, container in containers_of(spec):
        yield from _container_problems(f"{path}.{place}", container, volumes)
        name = str(container.get("name", ""))
        if name in seen:
            yield f"{path}.{place}.name", f"Duplicate value: {json.dumps(name)}"
        seen.add(name)
    policy = spec.get("restartPolicy", "Always")
    if policy not in ("Always", "OnFailure", "Never"):
        why = 'supported values: "Always", "OnFailure", "Never"'
        yield f"{path}.restartPolicy", f"Unsupported value: {json.dumps(policy)}: {why}"
    account = spec.get("serviceAccountName")
    if account and (why_not := bad_subdomain(account)):
        yield f"{path}.serviceAccountName", invalid_value(account, why_not)


def _volume_problems(path: str, spec: JSON, names: list[str]) -> Iterator[Problem]:
    for i, volume in enumerate(spec.get("volumes") or ()):
        place, name = f"{path}.volumes[{i}]", names[i]
        if not name:
            yield f"{place}.name", "Required value"
        elif why := bad_label(name):
            yield f"{place}.name", invalid_value(name, why)
        if name in names[:i]:
            yield f"{place}.name", f"Duplicate value: {json.dumps(name)}"
        if len(volume) > 2:
            sources = ", ".join(sorted(set(volume) - {"name"}))
            why = f"may not specify more than 1 volume type (has {sources})"
            yield place, f"Forbidden: {why}"


def _container_problems(
    path: str, container: JSON, volumes: list[str]
) -> Iterator[Problem]:
    name = str(container.get("name", ""))
    if not name:
        yield f"{path}.name", "Required value"
    elif why := bad_label(name):
        yield f"{path}.name", invalid_value(name, why)
    image = container.get("image", "")
    if not image:
        yield f"{path}.image", "Required value"
    elif image != image.strip():
        why = "must not have leading or trailing whitespace"
        yield f"{path}.image", invalid_value(image, why)
    for i, variable in enumerate(container.get("env") or ()):
        if not _VARIABLE.fullmatch(variable.get("name", "")):
            why = "a valid environment variable name must consist only of printable"
            why += " ASCII characters other than '='"
            bad = invalid_value(variable.get("name", ""), why)
            yield f"{path}.env[{i}].name", bad
    yield from _mount_problems(path, container, volumes)
    yield from _resource_problems(path, container.get("resources") or {})


def _mount_problems(
    path: str, container: JSON, volumes: list[str]
) -> Iterator[Problem]:
    seen: set[str] = set()
    for i, mount in enumerate(container.get("volumeMounts") or ()):
        place = f"{path}.volumeMounts[{i}]"
        name, target = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            yield f"{place}.name", "Required value"
        if name not in volumes:
            yield f"{place}.name", f"Not found: {json.dumps(name)}"
        if not target:
            yield f"{place}.mountPath", "Required value"
        elif target in seen:
            yield f"{place}.mountPath", invalid_value(target, "must be unique")
        seen.add(target)


def _resource_problems(path: str, resources: JSON) -> Iterator[Problem]:
    limits: dict[str, Decimal] = {}
    for field in ("limits", "requests"):
        for name, text in (resources.get(field) or {}).items():
            place = f"{path}.resources.{field}[{name}]"
            try:
                amount = quantity(text)
            except ValueError as e:
                yield place, invalid_value(text, str(e))
                continue
            if amount < 0:
                why = "must be greater than or equal to 0"
                yield place, invalid_value(text, why)
            if field == "limits":
                limits[name] = amount
            elif name in limits and amount > limits[name]:
                limit = resources["limits"][name]
                why = f"must be less than or equal to {name} limit of {limit}"
                yield f"{path}.resources.requests", invalid_value(text, why)
