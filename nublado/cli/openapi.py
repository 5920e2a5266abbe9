"""``nublado openapi``."""

from __future__ import annotations

import json
from pathlib import Path

import click
from flask import Flask

from nublado.cli.output import EXISTING_FILE, load_config
from nublado.constants import FILES_PREFIX, PATH_PREFIX
from nublado.handlers.openapi import openapi_document
from nublado.main import register_routes

__all__ = ["openapi"]


@click.command()
@click.option(
    "--config",
    "config_file",
    type=EXISTING_FILE,
    help="Configuration of a deployment; without it, paths have default prefixes.",
)
def openapi(config_file: Path | None) -> None:
    """Print the description of the API: an OpenAPI document in JSON."""
    prefix, files_prefix, title = PATH_PREFIX, FILES_PREFIX, "nublado"
    if config_file is not None:
        config = load_config(config_file)
        prefix, title = config.path_prefix, config.name
        if config.fileserver is not None:
            files_prefix = config.fileserver.path_prefix
    app = Flask("nublado", static_folder=None)
    register_routes(app, prefix, files_prefix)
    click.echo(json.dumps(openapi_document(app, title), indent=2))
