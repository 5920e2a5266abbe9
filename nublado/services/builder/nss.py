"""Name service files, by which a lab knows its user and their groups.

References
----------
passwd(5), group(5)
"""

from __future__ import annotations

import re

from nublado.config.model import NSSConfig
from nublado.models.domain.gafaelfawr import UserInfo

__all__ = ["group_file", "passwd_file"]

_BREAKS_A_LINE = re.compile(r"[:\x00-\x1f\x7f\x85\u2028\u2029]+")
"""Field and line separators, also those that only some programs heed."""


def passwd_file(nss: NSSConfig, user: UserInfo, home: str) -> str:
    """Write ``/etc/passwd``: the configured lines, then the user's."""
    name = _field(user.name or user.username)
    line = f"{user.username}:x:{user.uid}:{user.gid}:{name}:{home}:/bin/bash\n"
    return _lines(nss.base_passwd) + line


def group_file(nss: NSSConfig, user: UserInfo) -> str:
    """Write ``/etc/group``: the configured lines, then the user's groups.

    Nobody is listed as a member of their primary group.
    """
    lines = [
        f"{_field(group.name)}:x:{group.id}:"
        + ("" if group.id == user.gid else user.username)
        + "\n"
        for group in user.groups_with_id
    ]
    return _lines(nss.base_group) + "".join(lines)


def _field(text: str) -> str:
    return _BREAKS_A_LINE.sub(" ", text).strip()


def _lines(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"
