"""``nublado images``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from nublado.cli.output import (
    EXISTING_FILE,
    JSON_FLAG,
    load_config,
    quiet_logs,
    read_environment,
    reporting,
)
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.rspimage import RSPImage
from nublado.models.v1.images import dump_images
from nublado.services.image import ImageService
from nublado.services.source.configured import make_image_source

__all__ = ["images", "read_images"]


@click.command(
    epilog="""\b
    Examples:
      nublado images --config /etc/nublado/config.yaml
      nublado images --config config.yaml --json | jq -r '.prepull[].tag'
    """
)
@click.option(
    "--config",
    "config_file",
    type=EXISTING_FILE,
    required=True,
    help="Configuration of a deployment.",
)
@JSON_FLAG
def images(config_file: Path, *, as_json: bool) -> None:
    """List the images of the source, and show what users would be offered.

    The credentials are those of the configuration. No cluster is used: the
    menu is what it will be once every node has the images to prepull.
    """
    service = read_images(config_file)
    inventory = service.inventory
    # Without nodes, none lacks an image.
    prepull = [prepull.image for prepull in inventory.prepulls().prepulled]
    menu = inventory.menu()
    if as_json:
        shown = {
            **dump_images(inventory.known()),
            "prepull": _show(prepull),
            "menu": _show(menu),
        }
        click.echo(json.dumps(shown, indent=2))
    else:
        _print_list("Would be prepulled", prepull)
        _print_list("The menu would show", menu)
        _print_list("All images, as in the dropdown", inventory.dropdown())


def read_images(config_file: Path) -> ImageService:
    """List the images of the configured source; exits with 1 if it fails."""
    config = load_config(config_file).images
    mirrors = read_environment().registry_mirrors
    quiet_logs()
    if sys.stderr.isatty():
        click.echo("Listing images…", err=True)
    with reporting(str(config_file)):
        service = ImageService(config, make_image_source(config, mirrors))
        try:
            service.refresh(())
        finally:
            service.close()
    return service


def _show(chosen: Iterable[RSPImage]) -> list[JSON]:
    return [
        {"tag": i.tag, "name": i.display_name, "reference": i.reference_with_digest}
        for i in chosen
    ]


def _print_list(title: str, chosen: Iterable[RSPImage]) -> None:
    click.secho(f"{title}:", bold=True)
    for image in chosen:
        click.echo(f"  {image.display_name}  ({image.tag})")
