"""``nublado form-policy``."""

from __future__ import annotations

import click

from nublado.pages.form import form_policy as sources

__all__ = ["form_policy"]


@click.command()
def form_policy() -> None:
    """Print what a hub's content security policy has to allow for the form.

    Style and script of the spawner form are allowed by their hashes, which are
    others in each release; the form works without them, too.
    """
    for directive, source in sources().items():
        click.echo(f"{directive} {source}")
