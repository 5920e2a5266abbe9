"""Who may call which routes, as the real ingress has it configured."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["USER", "Group", "group_of"]


@dataclass(frozen=True, slots=True)
class Group:
    """A group of routes.

    Parameters
    ----------
    scope
        What a token must allow; None if nobody is asked.
    delegate
        Whether the service is given a token of the user.
    """

    scope: str | None
    delegate: bool = False


_ANYONE = Group(None)
_HUB = Group("admin:jupyterlab")
USER = Group("exec:notebook", delegate=True)
"""Whatever users call: pages of the service, and JupyterHub."""

_ADMIN = Group("exec:admin")

_ROUTES = (
    (r"/?", _ANYONE),
    (r"/(openapi\.json|docs)/?", _ANYONE),
    (r"/spawner/v1/labs/[^/]+/(create|events|progress)/?", USER),
    (r"/spawner/v1/lab-form/.*", USER),
    (r"/(spawner|fileserver)/v1/user-status/?", USER),
    (r"/spawner/v1/labs(/[^/]+)?/?", _HUB),
    (r"/.*", _ADMIN),
)


def group_of(path: str, prefix: str, files_prefix: str) -> Group | None:
    """Group of routes to which a path belongs; None if it is not the service's.

    Parameters
    ----------
    path
        Path of a request.
    prefix, files_prefix
        Where the service is.
    """
    if path == files_prefix or path.startswith(f"{files_prefix}/"):
        return USER
    if path != prefix and not path.startswith(f"{prefix}/"):
        return None
    rest = path.removeprefix(prefix)
    return next(group for pattern, group in _ROUTES if re.fullmatch(pattern, rest))
