"""The environment of a container, as its pod's specification gives it.

References
----------
https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.containers.fields import Values, as_text

__all__ = ["environment_of", "expand"]

_REFERENCE = re.compile(r"\$(?:\$|\((?P<name>[^)]*)\))")


def environment_of(container: JSON, values: Values) -> dict[str, str]:
    """Make the environment of a container.

    Parameters
    ----------
    container
        Its part of the pod's specification.
    values
        Looks up what that refers to.

    Raises
    ------
    ContainerConfigError
        Raised if something is missing that may not be.
    """
    environment: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        prefix = source.get("prefix") or ""
        content = _content(source, values)
        environment |= {prefix + key: as_text(value) for key, value in content.items()}
    for variable in container.get("env") or ():
        value = _value(container, variable, environment, values)
        if value is not None:
            environment[variable["name"]] = value
    return environment


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` by variables; ``$$`` is a dollar sign.

    References to what is not known stay as they are.
    """

    def replace(match: re.Match[str]) -> str:
        name = match["name"]
        return "$" if name is None else environment.get(name, match[0])

    return _REFERENCE.sub(replace, text)


def _content(source: JSON, values: Values) -> dict[str, bytes]:
    if reference := source.get("configMapRef"):
        look_up = values.config_map
    else:
        reference, look_up = source["secretRef"], values.secret
    optional = bool(reference.get("optional"))
    return look_up(reference["name"], optional=optional) or {}


def _value(
    container: JSON, variable: JSON, environment: Mapping[str, str], values: Values
) -> str | None:
    if value := variable.get("value"):
        return expand(value, environment)
    match variable.get("valueFrom") or {}:
        case {"fieldRef": reference}:
            return values.field(reference)
        case {"resourceFieldRef": reference}:
            return values.resource(reference, container["name"])
        case {"configMapKeyRef": reference}:
            return values.key("ConfigMap", reference)
        case {"secretKeyRef": reference}:
            return values.key("Secret", reference)
    return ""
