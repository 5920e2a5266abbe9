"""The record of a request, kept with the lab so that a spawn can be completed.

It is an annotation of the environment config map. Neither tokens nor the
contents of secrets are part of it, and the environment is the data of the map
itself.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TypeVar

from nublado.constants import REQUEST_ID_PATTERN
from nublado.exceptions import MalformedLabError
from nublado.models.domain.gafaelfawr import UserInfo, parse_user_info
from nublado.models.domain.image import ResolvedImage
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.lab import LabOptions

__all__ = ["SpawnRecord", "request_id_in"]

_VERSION = 1

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SpawnRecord:
    """The request for a lab: by whom, with which options and image.

    Parameters
    ----------
    user
        Whose lab it is.
    options
        What was chosen.
    image
        What that means.
    request_id
        Id of the request in the log; None where it was not recorded.
    """

    user: UserInfo
    options: LabOptions
    image: ResolvedImage
    request_id: str | None = None

    def to_json(self) -> str:
        """Write the record as text; the same record gives the same text."""
        quota = self.user.notebook_quota
        notebook = quota and {
            "cpu": quota.cpu,
            "memory": quota.memory_gib,
            "spawn": quota.spawn,
        }
        user = {
            "username": self.user.username,
            "name": self.user.name,
            "uid": self.user.uid,
            "gid": self.user.gid,
            "groups": [asdict(group) for group in self.user.groups],
            "quota": {"notebook": notebook},
        }
        record: JSON = {
            "version": _VERSION,
            "user": user,
            "options": asdict(self.options),
            "image": asdict(self.image),
        }
        if self.request_id is not None:
            record["request_id"] = self.request_id
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str) -> SpawnRecord:
        """Read a record that this or another version has written.

        Unknown fields are ignored.

        Raises
        ------
        MalformedLabError
            If it cannot be understood; says why.
        """
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise MalformedLabError(f"Record of the spawn is not JSON: {exc}") from exc
        if not isinstance(record, dict):
            raise MalformedLabError("Record of the spawn is not a JSON object")
        if record.get("version") != _VERSION:
            version = record.get("version")
            raise MalformedLabError(f"Record of the spawn has version {version!r}")
        try:
            user = parse_user_info(record.get("user"))
        except ValueError as exc:
            raise MalformedLabError(f"User in record of the spawn: {exc}") from exc
        return cls(
            user=user,
            options=_options(record),
            image=_image(record),
            request_id=_request_id(record),
        )


def request_id_in(text: str) -> str | None:
    """Id of the request that a record is of; None if it tells none.

    No more of it has to be understood for that.
    """
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return _request_id(record) if isinstance(record, dict) else None


def _options(record: JSON) -> LabOptions:
    options = record.get("options")
    return LabOptions(
        image=_member(options, "image", str),
        size=_member(options, "size", str),
        enable_debug=_member(options, "enable_debug", bool),
        reset_user_env=_member(options, "reset_user_env", bool),
    )


def _image(record: JSON) -> ResolvedImage:
    image = record.get("image")
    return ResolvedImage(
        reference=_member(image, "reference", str),
        digest=_member(image, "digest", str),
        tag=_member(image, "tag", str),
        display_name=_member(image, "display_name", str),
    )


def _request_id(record: JSON) -> str | None:
    """Id of the request; one that is none is no reason to lose a lab."""
    found = record.get("request_id")
    is_id = isinstance(found, str) and REQUEST_ID_PATTERN.fullmatch(found)
    return found if is_id else None


def _member(parent: object, name: str, kind: type[_T]) -> _T:
    value = parent.get(name) if isinstance(parent, dict) else None
    if not isinstance(value, kind):
        raise MalformedLabError(f"Record of the spawn has no valid {name}")
    return value
