"""``nublado refresh``."""

from __future__ import annotations

import json

import click

from nublado.cli.output import JSON_FLAG
from nublado.cli.service import RunningService, service_options
from nublado.cli.table import age

__all__ = ["refresh"]

_JOB = "refresh-images"


@click.command(
    epilog="""\b
    Examples:
      nublado refresh
    """
)
@service_options
@JSON_FLAG
def refresh(service: RunningService, *, as_json: bool) -> None:
    """Have images and nodes listed again now, and what is missing pulled.

    Returns once that has begun; 'nublado status' tells whether it fails.
    """
    service.begin("refresh")
    (job,) = (j for j in service.get("status")["jobs"] if j["name"] == _JOB)
    if as_json:
        click.echo(json.dumps(job))
        return
    click.echo("Images and nodes are being listed.")
    click.echo(f"Last listed {age(job['last_success'])} ago.")
    if job["failures"]:
        click.secho(
            f"It has failed {job['failures']} times since: {job['error']}", fg="red"
        )
