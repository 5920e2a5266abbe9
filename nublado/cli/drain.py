"""``nublado drain``."""

from __future__ import annotations

import json

import click

from nublado.cli.notice import notice_options
from nublado.cli.output import JSON_FLAG
from nublado.cli.service import RunningService, service_options
from nublado.models.domain.kubernetes import JSON

__all__ = ["drain"]


@click.command(
    epilog="""\b
    Examples:
      nublado drain "Storage is being moved. Labs start again at noon." --for 2h
      nublado drain "The cluster is being upgraded."
    """
)
@click.argument("message")
@notice_options
@service_options
@JSON_FLAG
def drain(service: RunningService, notice: JSON, *, as_json: bool) -> None:
    """Let no labs be started; who tries is told MESSAGE.

    Labs that run are left alone. This outlives restarts of the service.
    """
    service.put("drain", notice)
    if as_json:
        click.echo(json.dumps(service.get("notices")))
    else:
        click.echo("No labs can be started, until 'nublado undrain' or the given end.")
