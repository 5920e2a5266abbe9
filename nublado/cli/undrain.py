"""``nublado undrain``."""

from __future__ import annotations

import click

from nublado.cli.service import RunningService, service_options

__all__ = ["undrain"]


@click.command()
@service_options
def undrain(service: RunningService) -> None:
    """Let labs be started again."""
    service.delete("drain")
    click.echo("Labs can be started again.")
