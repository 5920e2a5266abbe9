"""``nublado delete``."""

from __future__ import annotations

import json

import click

from nublado.cli.output import JSON_FLAG
from nublado.cli.service import RunningService, service_options

__all__ = ["delete"]


@click.command(
    epilog="""\b
    Examples:
      nublado delete rachel
      nublado delete rachel --file-server --yes
    """
)
@click.argument("username", metavar="USER")
@click.option("--file-server", is_flag=True, help="The file server, not the lab.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@service_options
@JSON_FLAG
def delete(
    service: RunningService,
    username: str,
    *,
    file_server: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete a user's lab, or their file server; returns once it is gone.

    A spawn in progress is cancelled. Files in the user's home stay.
    """
    thing = "file server" if file_server else "lab"
    if not yes:
        click.confirm(f"Delete the {thing} of {username}?", abort=True, err=True)
    service.delete("fileservers" if file_server else "labs", username)
    if as_json:
        click.echo(json.dumps({"username": username, "deleted": thing}))
    else:
        click.echo(f"The {thing} of {username} is gone.")
