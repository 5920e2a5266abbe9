"""``nublado version``."""

from __future__ import annotations

import click

from nublado import __version__

__all__ = ["version"]


@click.command()
def version() -> None:
    """Print the version of Nublado."""
    click.echo(__version__)
