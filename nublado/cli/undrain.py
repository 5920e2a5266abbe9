"""``nublado undrain``."""

from __future__ import annotations

import json

import click

from nublado.cli.output import JSON_FLAG
from nublado.cli.service import RunningService, service_options

__all__ = ["undrain"]


@click.command()
@service_options
@JSON_FLAG
def undrain(service: RunningService, *, as_json: bool) -> None:
    """Let labs be started again."""
    service.delete("drain")
    if as_json:
        click.echo(json.dumps(service.get("notices")))
    else:
        click.echo("Labs can be started again.")
