"""Who may call which routes, as the real ingress has it configured."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Group", "group_of", "group_of_hub", "start_links"]


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
_USER = Group("exec:notebook", delegate=True)
_LAB = Group("exec:notebook")
_ADMIN = Group("exec:admin")

_ROUTES = (
    (r"/?", _ANYONE),
    (r"/(openapi\.json|docs|runbook)/?", _ANYONE),
    (r"/spawner/v1/labs/[^/]+/(create|events|progress|cancel)/?", _USER),
    (r"/spawner/v1/lab-form/.*", _USER),
    (r"/(spawner|fileserver)/v1/user-status/?", _USER),
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
        return _USER
    if path != prefix and not path.startswith(f"{prefix}/"):
        return None
    rest = path.removeprefix(prefix)
    return next(group for pattern, group in _ROUTES if re.fullmatch(pattern, rest))


def start_links(
    username: str | None, prefix: str, files_prefix: str
) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Pages that may be opened: groups of name, path and description.

    Parameters
    ----------
    username
        Who may open them.
    prefix, files_prefix
        Where the service is.
    """
    spawner = f"{prefix}/spawner/v1"
    lab = f"{spawner}/labs/{username}"
    return [
        (
            "Your lab",
            [
                ("Progress", f"{lab}/progress", "how it comes up, in words"),
                ("Events", f"{lab}/events", "the same as a stream, for programs"),
                ("State", f"{spawner}/user-status", "as JSON"),
                ("Files", files_prefix, "by WebDAV, from your own computer"),
            ],
        ),
        (
            "For operators",
            [
                ("State of the service", f"{prefix}/admin", "for admin only"),
                ("Running labs", f"{spawner}/labs", "as JSON, for JupyterHub"),
                ("API", f"{prefix}/docs", "all routes, with examples"),
            ],
        ),
    ]


def group_of_hub(path: str) -> Group:
    """Group to which a path of JupyterHub belongs.

    A lab is not given the token of whoever visits it.
    """
    hub = "/nb/hub"
    return _USER if path == hub or path.startswith(f"{hub}/") else _LAB
