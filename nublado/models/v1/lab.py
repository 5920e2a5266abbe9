"""Labs as the API accepts and returns them."""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate

from nublado.constants import DROPDOWN_SENTINEL, SIZE_NAMES
from nublado.models.domain.image import ImageSelection
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.lab import LabSpecification, LabState, LabStatus
from nublado.models.v1.fields import (
    NOT_AN_OBJECT,
    REQUIRED,
    Environment,
    FormBoolean,
    FormString,
    validation_problems,
)

__all__ = [
    "LabSpecificationSchema",
    "LabStateSchema",
    "dump_lab_state",
    "parse_lab_specification",
]

_IMAGE_CLASSES = ("recommended", "latest-release", "latest-weekly", "latest-daily")


def parse_lab_specification(data: object) -> LabSpecification:
    """Understand the body of a request for a lab.

    Parameters
    ----------
    data
        The decoded JSON.

    Raises
    ------
    ValidationProblemsError
        If it is not a lab specification; carries everything wrong with it.
    """
    try:
        spec: LabSpecification = _SPECIFICATION.load(data)  # type: ignore[arg-type]
    except ValidationError as exc:
        raise validation_problems(exc, ("body",)) from None
    return spec


def dump_lab_state(state: LabState) -> JSON:
    """Show the state of a lab; groups without an ID are left out."""
    shown: JSON = _STATE.dump(state)
    return shown


# --- Request -------------------------------------------------------------


class _RequestSchema(Schema):
    """Unknown fields that JupyterHub may send are ignored."""

    error_messages = {"type": NOT_AN_OBJECT}

    class Meta:
        unknown = EXCLUDE


class _Size(FormString):
    """The name of a size, in any case."""

    def one_of_them(self) -> JSON:
        names = [*SIZE_NAMES, *(name.title() for name in SIZE_NAMES)]
        return {"type": "string", "enum": names}

    def _deserialize(self, *args: Any, **kwargs: Any) -> str:
        return super()._deserialize(*args, **kwargs).lower()


class LabOptionsRequestSchema(_RequestSchema):
    """What the user has chosen in the form."""

    image_list = FormString(
        load_default=None,
        metadata={
            "description": "Reference of an image, chosen in the menu. Exactly one of"
            " the four image options has to be given; the dropdown is ignored where"
            f" this is, unless it is {DROPDOWN_SENTINEL}"
        },
    )
    image_dropdown = FormString(
        load_default=None,
        metadata={"description": "Reference of an image, chosen among all"},
    )
    image_class = FormString(
        load_default=None,
        validate=validate.OneOf(_IMAGE_CLASSES),
        metadata={"description": "What the image stands out by"},
    )
    image_tag = FormString(
        load_default=None, metadata={"description": "Tag of an image"}
    )
    size = _Size(
        required=True,
        validate=validate.OneOf(SIZE_NAMES),
        metadata={"description": "Size that is configured"},
    )
    enable_debug = FormBoolean(
        load_default=False, metadata={"description": "Whether the lab logs more"}
    )
    reset_user_env = FormBoolean(
        load_default=False,
        metadata={"description": "Whether own settings and packages are moved aside"},
    )

    @post_load
    def _select_image(self, data: JSON, **_: object) -> JSON:
        """Find the one way in which the image was chosen.

        The form always submits the dropdown, which counts only where the list
        defers to it.
        """
        images = {
            name: data.pop(name)
            for name in ("image_list", "image_dropdown", "image_class", "image_tag")
        }
        if images["image_list"] == DROPDOWN_SENTINEL:
            images["image_list"] = None
        elif images["image_list"]:
            images["image_dropdown"] = None
        chosen = sorted(name for name, value in images.items() if value)
        if not chosen:
            raise ValidationError("No image to spawn specified")
        if len(chosen) > 1:
            names = ", ".join(chosen)
            raise ValidationError(f"Image specified multiple ways ({names})")
        return data | {"image": ImageSelection(**{chosen[0]: images[chosen[0]]})}


class LabSpecificationSchema(_RequestSchema):
    """Body of a request for a lab."""

    options = fields.Nested(
        LabOptionsRequestSchema,
        required=True,
        error_messages={"required": REQUIRED, "null": NOT_AN_OBJECT},
    )
    env = Environment(required=True)

    @post_load
    def _make(self, data: JSON, **_: object) -> LabSpecification:
        return LabSpecification(env=data["env"], **data["options"])


# --- Response ------------------------------------------------------------


class GroupSchema(Schema):
    """A group that has an ID."""

    name = fields.String(required=True)
    id = fields.Integer(required=True)


class LabUserSchema(Schema):
    """The user to whom a lab belongs."""

    username = fields.String(required=True)
    name = fields.String(required=True, allow_none=True)
    uid = fields.Integer(required=True)
    gid = fields.Integer(required=True)
    groups = fields.List(
        fields.Nested(GroupSchema), required=True, attribute="groups_with_id"
    )


class LabOptionsSchema(Schema):
    """What a lab was created with."""

    image = fields.String(
        required=True, metadata={"description": "Docker reference with digest"}
    )
    size = fields.String(required=True, validate=validate.OneOf(SIZE_NAMES))
    enable_debug = fields.Boolean(required=True)
    reset_user_env = fields.Boolean(required=True)


class ResourceQuantitySchema(Schema):
    """CPU in cores and memory in bytes."""

    cpu = fields.Float(required=True)
    memory = fields.Integer(required=True)


class LabResourcesSchema(Schema):
    """What a lab may use at most, and what is reserved for it."""

    limits = fields.Nested(ResourceQuantitySchema, required=True)
    requests = fields.Nested(ResourceQuantitySchema, required=True)


class LabStateSchema(Schema):
    """State of a lab."""

    user = fields.Nested(LabUserSchema, required=True)
    options = fields.Nested(LabOptionsSchema, required=True)
    status = fields.Enum(LabStatus, by_value=True, required=True)
    internal_url = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Null where there is nothing to connect to"},
    )
    resources = fields.Nested(LabResourcesSchema, required=True)
    quota = fields.Nested(ResourceQuantitySchema, required=True, allow_none=True)


_SPECIFICATION = LabSpecificationSchema()
_STATE = LabStateSchema()
