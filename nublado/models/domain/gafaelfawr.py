"""Users as Gafaelfawr describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate

from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.resources import Resources

__all__ = ["GafaelfawrUser", "Group", "NotebookQuota", "UserInfo", "parse_user_info"]

_BYTES_PER_GIB = 2**30

_MAX_ID = 2**31 - 1
"""Largest user or group ID that Kubernetes accepts."""

_MAX_MEMORY_GIB = 2.0**33
"""As many bytes as Kubernetes can count (2^63)."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group of a user; one without an ID means nothing to a file system."""

    name: str
    id: int | None = None


@dataclass(frozen=True, slots=True)
class NotebookQuota:
    """What the labs of a user may use: ``cpu`` in cores, memory in GiB.

    ``spawn`` is false for users who may not have a lab at all.
    """

    cpu: float
    memory_gib: float
    spawn: bool = True

    @property
    def resources(self) -> Resources:
        """CPU and memory, in the units of labs."""
        return Resources(float(self.cpu), int(self.memory_gib * _BYTES_PER_GIB))

    @classmethod
    def from_resources(cls, resources: Resources) -> NotebookQuota:
        """Create the quota that allows these resources."""
        return cls(cpu=resources.cpu, memory_gib=resources.memory / _BYTES_PER_GIB)


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Who a user is; ``notebook_quota`` is None where there is no limit."""

    username: str
    uid: int
    gid: int
    name: str | None = None
    groups: tuple[Group, ...] = ()
    notebook_quota: NotebookQuota | None = None

    @property
    def groups_with_id(self) -> tuple[Group, ...]:
        """The groups that have an ID."""
        return tuple(group for group in self.groups if group.id is not None)

    @property
    def supplemental_groups(self) -> list[int]:
        """IDs of all groups, in Gafaelfawr's order."""
        return [group.id for group in self.groups if group.id is not None]


@dataclass(frozen=True, slots=True)
class GafaelfawrUser:
    """A user together with the delegated token that a request came with."""

    info: UserInfo
    token: str = field(repr=False)

    @property
    def username(self) -> str:
        """Name of the user."""
        return self.info.username


def parse_user_info(data: object) -> UserInfo:
    """Parse Gafaelfawr's response to ``GET /auth/api/v1/user-info``.

    Parameters
    ----------
    data
        The decoded JSON. Unknown fields are ignored.

    Raises
    ------
    ValueError
        If it is not a user; says which fields are wrong.
    """
    try:
        info: UserInfo = _RESPONSE.load(data)  # type: ignore[arg-type]
    except ValidationError as exc:
        raise ValueError(_describe(exc.messages)) from None
    return info


def _describe(messages: object, path: str = "") -> str:
    """Write marshmallow's tree of messages as ``path: message; …``."""
    if isinstance(messages, Mapping):
        parts = [
            _describe(below, path if key == "_schema" else f"{path}.{key}".lstrip("."))
            for key, below in messages.items()
        ]
        return "; ".join(parts)
    texts = messages if isinstance(messages, list) else [messages]
    text = " ".join(str(message) for message in texts)
    return f"{path}: {text}" if path else text


class _ResponseSchema(Schema):
    class Meta:
        unknown = EXCLUDE


class _GroupSchema(_ResponseSchema):
    name = fields.String(required=True, validate=validate.Length(min=1))
    id = fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=0, max=_MAX_ID),
    )

    @post_load
    def _make(self, data: JSON, **_: object) -> Group:
        return Group(**data)


class _NotebookQuotaSchema(_ResponseSchema):
    cpu = fields.Float(required=True, validate=validate.Range(min=0))
    memory_gib = fields.Float(
        required=True,
        data_key="memory",
        validate=validate.Range(min=0, max=_MAX_MEMORY_GIB),
    )
    spawn = fields.Boolean(load_default=True)

    @post_load
    def _make(self, data: JSON, **_: object) -> NotebookQuota:
        return NotebookQuota(**data)


class _QuotaSchema(_ResponseSchema):
    notebook = fields.Nested(_NotebookQuotaSchema, load_default=None, allow_none=True)


class _UserInfoSchema(_ResponseSchema):
    username = fields.String(required=True, validate=validate.Length(min=1))
    name = fields.String(load_default=None, allow_none=True)
    uid = fields.Integer(
        strict=True, required=True, validate=validate.Range(min=0, max=_MAX_ID)
    )
    gid = fields.Integer(
        strict=True, required=True, validate=validate.Range(min=0, max=_MAX_ID)
    )
    groups = fields.List(
        fields.Nested(_GroupSchema), load_default=None, allow_none=True
    )
    quota = fields.Nested(_QuotaSchema, load_default=None, allow_none=True)

    @post_load
    def _make(self, data: JSON, **_: object) -> UserInfo:
        quota = data.pop("quota") or {}
        data["name"] = data["name"] or None
        data["groups"] = tuple(data["groups"] or ())
        return UserInfo(**data, notebook_quota=quota.get("notebook"))


_RESPONSE = _UserInfoSchema()
"""Created once: that takes longer than using it."""
