"""Routes of images: which there are, and where they have been prepulled."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from nublado.handlers.context import process
from nublado.handlers.describe import Caller, Needs, ResponseSpec, describe
from nublado.models.v1.images import (
    KnownImagesSchema,
    PrepullStatusSchema,
    dump_images,
    dump_prepulls,
)

__all__ = ["images"]

images = Blueprint("images", __name__, url_prefix="/spawner/v1")


@images.get("/images")
@describe(
    Caller.ADMIN,
    ResponseSpec("Images", schema=KnownImagesSchema),
    needs=Needs.IMAGES,
)
def list_images() -> Response:
    """All known images, and what stands out among them."""
    return jsonify(dump_images(process().images.images()))


@images.get("/prepulls")
@describe(
    Caller.ADMIN,
    ResponseSpec("Prepulls", schema=PrepullStatusSchema),
    needs=Needs.IMAGES,
)
def list_prepulls() -> Response:
    """What has been prepulled, and what has not."""
    status = process().images.prepulls()
    return jsonify(dump_prepulls(process().config.images, status))
