"""The environment of a lab, and what can be read back from it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from nublado.config.model import LabConfig, LabSizeDefinition
from nublado.config.platform import Platform
from nublado.exceptions import MalformedLabError
from nublado.models.domain.image import ResolvedImage
from nublado.models.domain.lab import LabSpecification
from nublado.models.domain.resources import LabResources, Resources
from nublado.units import MAX_QUANTITY

__all__ = [
    "SET_BY_CONTROLLER",
    "lab_environment",
    "names_not_of_the_user",
    "resources_of_environment",
]

SET_BY_CONTROLLER = frozenset(
    {
        "CONTAINER_SIZE",
        "CPU_GUARANTEE",
        "CPU_LIMIT",
        "DEBUG",
        "EXTERNAL_INSTANCE_URL",
        "IMAGE_DESCRIPTION",
        "IMAGE_DIGEST",
        "JUPYTERLAB_CONFIG_DIR",
        "JUPYTERLAB_START_COMMAND",
        "JUPYTER_IMAGE",
        "JUPYTER_IMAGE_SPEC",
        "MEM_GUARANTEE",
        "MEM_LIMIT",
        "NUBLADO_RUNTIME_MOUNTS_DIR",
        "REPERTOIRE_BASE_URL",
        "RESET_USER_ENV",
    }
)
"""Variables that `lab_environment` sets."""

_SET_BY_JUPYTERHUB = ("JUPYTERHUB_", "JPY_")


def lab_environment(
    config: LabConfig,
    platform: Platform,
    spec: LabSpecification,
    size: LabSizeDefinition,
    image: ResolvedImage,
) -> dict[str, str]:
    """Compute the environment of a lab.

    Parameters
    ----------
    config
        How labs are built; its ``env`` overrides everything else.
    platform
        What labs are told of the platform.
    spec
        Request for the lab.
    size
        The requested size.
    image
        The requested image.
    """
    resources = size.resources
    env = dict(spec.env)
    if spec.enable_debug:
        env["DEBUG"] = "TRUE"
    if spec.reset_user_env:
        env["RESET_USER_ENV"] = "TRUE"
    env |= {
        "JUPYTER_IMAGE": image.reference_with_digest,
        "JUPYTER_IMAGE_SPEC": image.reference_with_digest,
        "IMAGE_DESCRIPTION": image.display_name,
        "IMAGE_DIGEST": image.digest,
        "CONTAINER_SIZE": size.label,
        "CPU_GUARANTEE": str(resources.requests.cpu),
        "CPU_LIMIT": str(resources.limits.cpu),
        "MEM_GUARANTEE": str(resources.requests.memory),
        "MEM_LIMIT": str(resources.limits.memory),
        "EXTERNAL_INSTANCE_URL": platform.base_url,
        "JUPYTERLAB_CONFIG_DIR": config.jupyterlab_config_dir,
        "JUPYTERLAB_START_COMMAND": shlex.join(config.lab_start_command),
        "NUBLADO_RUNTIME_MOUNTS_DIR": config.runtime_mounts_dir,
    }
    if config.activity_interval is not None:
        env["JUPYTERHUB_ACTIVITY_INTERVAL"] = str(int(config.activity_interval))
    if platform.repertoire_url is not None:
        env["REPERTOIRE_BASE_URL"] = platform.repertoire_url
    return {**env, **config.env}


def names_not_of_the_user(config: LabConfig, env: Mapping[str, str]) -> list[str]:
    """Names of the variables that a privileged container may get, sorted.

    Users choose the rest of the environment, and ``LD_PRELOAD`` of a file in
    their home would run in a container of root.

    Parameters
    ----------
    config
        How labs are built.
    env
        Environment of the lab.
    """
    return sorted(
        name
        for name in env
        if name in SET_BY_CONTROLLER
        or name in config.env
        or name.startswith(_SET_BY_JUPYTERHUB)
    )


def resources_of_environment(env: Mapping[str, str]) -> LabResources:
    """Read the resources of a lab from its environment.

    Other versions may not have set the guarantees; they follow from the limits.

    Raises
    ------
    MalformedLabError
        If a limit is missing, or one of the values is not a number.
    """
    limits = Resources(
        cpu=float(_amount(env, "CPU_LIMIT")), memory=int(_amount(env, "MEM_LIMIT"))
    )
    requests = LabResources.from_limits(limits).requests
    if "CPU_GUARANTEE" in env:
        requests = replace(requests, cpu=float(_amount(env, "CPU_GUARANTEE")))
    if "MEM_GUARANTEE" in env:
        requests = replace(requests, memory=int(_amount(env, "MEM_GUARANTEE")))
    return LabResources(limits=limits, requests=requests)


def _amount(env: Mapping[str, str], name: str) -> Decimal:
    text = env.get(name)
    if text is None:
        raise MalformedLabError(f"{name} is missing")
    try:
        amount = Decimal(text)
    except (ArithmeticError, TypeError, ValueError):
        amount = Decimal(-1)
    if not (amount.is_finite() and 0 <= amount <= MAX_QUANTITY):
        raise MalformedLabError(f"{name} is not an amount: {text!r}")
    return amount
