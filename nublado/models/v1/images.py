"""How the API shows images and what has been prepulled."""

from __future__ import annotations

from marshmallow import Schema, fields, post_dump

from nublado.config.model import (
    DockerSourceConfig,
    GoogleSourceConfig,
    ImagesConfig,
)
from nublado.models.domain.image import (
    KnownImages,
    NodeImages,
    PrepullImage,
    PrepullStatus,
)
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.rspimage import RSPImage

__all__ = [
    "KnownImagesSchema",
    "NodeSchema",
    "PrepullStatusSchema",
    "PrepulledSchema",
    "dump_images",
    "dump_node",
    "dump_prepull_images",
    "dump_prepulls",
]


class _WithoutNoneSchema(Schema):
    """Leaves out what is not known."""

    @post_dump
    def _drop_none(self, data: JSON, **_: object) -> JSON:
        return {key: value for key, value in data.items() if value is not None}


class ImageSchema(_WithoutNoneSchema):
    """An image that may be requested."""

    reference = fields.String(required=True)
    tag = fields.String(required=True)
    name = fields.String(required=True)
    digest = fields.String()
    aliases = fields.List(fields.String(), required=True)
    prepulled = fields.Boolean(required=True)


class KnownImagesSchema(_WithoutNoneSchema):
    """Response of the route for images."""

    recommended = fields.Nested(ImageSchema)
    latest_weekly = fields.Nested(ImageSchema)
    latest_daily = fields.Nested(ImageSchema)
    latest_release = fields.Nested(ImageSchema)
    all = fields.List(fields.Nested(ImageSchema), required=True)


class PrepullImageSchema(Schema):
    """An image that is to be on every node."""

    reference = fields.String(required=True)
    tag = fields.String(required=True)
    name = fields.String(required=True)
    digest = fields.String(required=True)
    size = fields.Integer(required=True, allow_none=True)
    nodes = fields.List(fields.String(), required=True)
    missing = fields.List(fields.String(), required=True)


class PrepulledSchema(Schema):
    """Images by whether every node has them."""

    prepulled = fields.List(fields.Nested(PrepullImageSchema), required=True)
    pending = fields.List(fields.Nested(PrepullImageSchema), required=True)


class NodeSchema(Schema):
    """A node and the images that it has."""

    name = fields.String(required=True)
    eligible = fields.Boolean(required=True)
    comment = fields.String(required=True, allow_none=True)
    cached = fields.List(fields.String(), required=True)


class PrepullStatusSchema(Schema):
    """Response of the route for prepulls."""

    config = fields.Dict(required=True)
    images = fields.Nested(PrepulledSchema, required=True)
    nodes = fields.List(fields.Nested(NodeSchema), required=True)


def dump_images(known: KnownImages) -> JSON:
    """Show images."""

    def show(image: RSPImage) -> JSON:
        return {
            "reference": image.reference,
            "tag": image.tag,
            "name": image.display_name,
            "digest": image.digest,
            "aliases": sorted(image.aliases),
            "prepulled": image.tag in known.prepulled,
        }

    special = {
        "recommended": known.recommended,
        "latest_weekly": known.latest_weekly,
        "latest_daily": known.latest_daily,
        "latest_release": known.latest_release,
    }
    given = {key: show(image) for key, image in special.items() if image is not None}
    shown = {**given, "all": [show(image) for image in known.all]}
    dumped: JSON = KnownImagesSchema().dump(shown)
    return dumped


def dump_prepulls(config: ImagesConfig, status: PrepullStatus) -> JSON:
    """Show what has been prepulled."""
    dumped: JSON = PrepullStatusSchema().dump(
        {
            "config": _config(config),
            "images": dump_prepull_images(status),
            "nodes": [dump_node(node) for node in status.nodes],
        }
    )
    return dumped


def dump_prepull_images(status: PrepullStatus) -> JSON:
    """Show images by whether every node has them."""
    return {
        "prepulled": [_prepull_image(image) for image in status.prepulled],
        "pending": [_prepull_image(image) for image in status.pending],
    }


def _prepull_image(prepull: PrepullImage) -> JSON:
    image = prepull.image
    return {
        "reference": image.reference,
        "tag": image.tag,
        "name": image.display_name,
        "digest": image.digest,
        "size": image.size,
        "nodes": sorted(image.nodes),
        "missing": sorted(prepull.missing),
    }


def dump_node(images: NodeImages) -> JSON:
    """Show a node."""
    node = images.node
    return {
        "name": node.name,
        "eligible": node.eligible,
        "comment": node.comment,
        "cached": list(images.cached),
    }


def _config(config: ImagesConfig) -> JSON:
    return {
        "source": _source(config.source),
        "recommended_tag": config.recommended_tag,
        "num_releases": config.num_releases,
        "num_weeklies": config.num_weeklies,
        "num_dailies": config.num_dailies,
        "refresh_interval": config.refresh_interval,
        "prepull_timeout": config.prepull_timeout,
        "cycle": config.cycle,
        "pin": list(config.pin),
        "alias_tags": list(config.alias_tags),
    }


def _source(source: DockerSourceConfig | GoogleSourceConfig) -> JSON:
    if isinstance(source, DockerSourceConfig):
        return {
            "type": "docker",
            "registry": source.registry,
            "repository": source.repository,
        }
    return {
        "type": "google",
        "location": source.location,
        "project_id": source.project_id,
        "repository": source.repository,
        "image": source.image,
    }
