"""The state of a lab, read from its Kubernetes objects.

Other versions of the controller may have made the objects: only what cannot be
done without is required of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from nublado.config.model import LabConfig
from nublado.constants import (
    ANNOTATION_USER_GROUPS,
    ANNOTATION_USER_NAME,
    SERVICE_PREFIX,
)
from nublado.exceptions import MalformedLabError
from nublado.models.domain.gafaelfawr import Group, NotebookQuota, UserInfo
from nublado.models.domain.kubernetes import JSON, created_at
from nublado.models.domain.lab import (
    LabObjectNames,
    LabOptions,
    LabState,
    LabStatus,
)
from nublado.models.domain.resources import LabResources, Resources
from nublado.services.builder.lab_containers import NOTEBOOK
from nublado.services.builder.lab_environment import resources_of_environment
from nublado.services.builder.lab_objects import LAB_PORT
from nublado.services.observed.pod_status import status_of_pod
from nublado.units import parse_quantity

__all__ = ["internal_url", "rebuild_state"]

_CUSTOM_SIZE = "custom"


def internal_url(names: LabObjectNames, env: Mapping[str, str]) -> str | None:
    """URL of a lab inside the cluster.

    Parameters
    ----------
    names
        Names of the lab's objects.
    env
        Environment of the lab; where it lacks the path at which the lab
        serves, the result is None.
    """
    prefix = env.get(SERVICE_PREFIX)
    if prefix is None:
        return None
    return f"http://{names.service}.{names.namespace}:{LAB_PORT}{prefix}"


def rebuild_state(
    config: LabConfig,
    username: str,
    env_config_map: JSON | None,
    pod: JSON | None,
    quota: JSON | None,
) -> LabState:
    """Read the state of a lab off its objects.

    Parameters
    ----------
    config
        How labs are built now.
    username
        Whose lab it is.
    env_config_map, pod, quota
        The objects as Kubernetes gives them; None where there is none. A lab
        may well have no quota.

    Raises
    ------
    MalformedLabError
        If they are malformed; says which object lacks what.
    """
    names = LabObjectNames.of(username, config.namespace_of(username))
    with _part_of("ConfigMap", names.namespace, names.env_config_map):
        env = _existing(env_config_map).get("data") or {}
        resources = resources_of_environment(env)
    with _part_of("ResourceQuota", names.namespace, names.quota):
        limit = _quota(quota) if quota else None
    with _part_of("Pod", names.namespace, names.pod):
        pod = _existing(pod)
        status = status_of_pod(pod)
        user = _user(username, pod, limit)
        image = env.get("JUPYTER_IMAGE_SPEC") or _notebook(pod)["image"]
    terminating = status is LabStatus.TERMINATING
    return LabState(
        user=user,
        options=LabOptions(
            image=image,
            size=_size(config, resources),
            enable_debug=env.get("DEBUG") == "TRUE",
            reset_user_env=env.get("RESET_USER_ENV") == "TRUE",
        ),
        status=status,
        internal_url=None if terminating else internal_url(names, env),
        resources=resources,
        quota=limit,
        path=env.get(SERVICE_PREFIX),
        created=created_at(pod),
    )


@contextmanager
def _part_of(kind: str, namespace: str, name: str) -> Iterator[None]:
    """Say of which object it is that something is wrong with."""
    try:
        yield
    except MalformedLabError as exc:
        raise MalformedLabError(f"{kind} {namespace}/{name}: {exc}") from exc


def _existing(obj: JSON | None) -> JSON:
    if obj is None:
        raise MalformedLabError("does not exist")
    return obj


def _size(config: LabConfig, resources: LabResources) -> str:
    for size in config.sizes:
        if size.resources == resources:
            return size.size
    return _CUSTOM_SIZE


def _quota(quota: JSON) -> Resources:
    hard = quota.get("spec", {}).get("hard") or {}
    try:
        return Resources(
            cpu=float(parse_quantity(hard["limits.cpu"])),
            memory=int(parse_quantity(hard["limits.memory"])),
        )
    except KeyError as exc:
        raise MalformedLabError(f"{exc.args[0]} is missing") from exc
    except ValueError as exc:
        raise MalformedLabError(str(exc)) from exc


def _notebook(pod: JSON) -> JSON:
    containers: list[JSON] = pod["spec"].get("containers") or []
    for container in containers:
        if container["name"] == NOTEBOOK:
            return container
    raise MalformedLabError(f"no container {NOTEBOOK}")


def _user(username: str, pod: JSON, limit: Resources | None) -> UserInfo:
    annotations = pod["metadata"].get("annotations") or {}
    quota = NotebookQuota.from_resources(limit) if limit else None
    return UserInfo(
        username=username,
        uid=_run_as(pod, "runAsUser"),
        gid=_run_as(pod, "runAsGroup"),
        name=annotations.get(ANNOTATION_USER_NAME),
        groups=_groups(annotations.get(ANNOTATION_USER_GROUPS, "[]")),
        notebook_quota=quota,
    )


def _run_as(pod: JSON, key: str) -> int:
    """Read the user or group of the notebook, which may be that of the pod."""
    for part in (_notebook(pod), pod["spec"]):
        number = (part.get("securityContext") or {}).get(key)
        if number is not None:
            return int(number)
    raise MalformedLabError(f"no {key} of container {NOTEBOOK}")


def _groups(text: str) -> tuple[Group, ...]:
    try:
        return tuple(_group(group) for group in json.loads(text))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as exc:
        raise MalformedLabError(
            f"annotation {ANNOTATION_USER_GROUPS} is not a list of groups: "
            f"{text[:100]!r}"
        ) from exc


def _group(group: JSON) -> Group:
    gid = group.get("id")
    return Group(name=str(group["name"]), id=None if gid is None else int(gid))
