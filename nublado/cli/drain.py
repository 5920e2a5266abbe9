"""``nublado drain``."""

from __future__ import annotations

import click

from nublado.cli.notice import notice_options
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
def drain(service: RunningService, notice: JSON) -> None:
    """Let no labs be started; who tries is told MESSAGE.

    Labs that run are left alone. This outlives restarts of the service.
    """
    service.put("drain", notice)
    click.echo("No labs can be started, until 'nublado undrain' or the given end.")
