"""``nublado announce``."""

from __future__ import annotations

import json

import click

from nublado.cli.notice import notice_options
from nublado.cli.output import JSON_FLAG
from nublado.cli.service import RunningService, service_options
from nublado.models.domain.kubernetes import JSON

__all__ = ["announce"]


@click.command(
    epilog="""\b
    Examples:
      nublado announce "Maintenance on Thursday from 9 to 10 UTC." --for 3d
      nublado announce --end
    """
)
@click.argument("message", required=False, default="")
@click.option("--end", is_flag=True, help="Tell users no longer.")
@notice_options
@service_options
@JSON_FLAG
def announce(
    service: RunningService, notice: JSON, *, end: bool, as_json: bool
) -> None:
    """Tell users MESSAGE, on all pages and in the spawner form."""
    if end == bool(notice["message"]):
        raise click.UsageError("Give either a message or --end.")
    if end:
        service.delete("announcement")
    else:
        service.put("announcement", notice)
    if as_json:
        click.echo(json.dumps(service.get("notices")))
    else:
        click.echo("Users are told no longer." if end else "All pages show it.")
