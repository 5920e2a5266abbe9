"""``nublado prepull``."""

from __future__ import annotations

import json

import click

from nublado.cli.output import JSON_FLAG
from nublado.cli.service import RunningService, service_options
from nublado.cli.table import print_table, short_image
from nublado.models.domain.kubernetes import JSON

__all__ = ["prepull"]


@click.command(
    epilog="""\b
    Examples:
      nublado prepull
      nublado prepull --json | jq -r '.[].missing[]' | sort | uniq -c
    """
)
@service_options
@JSON_FLAG
def prepull(service: RunningService, *, as_json: bool) -> None:
    """Have nodes pull the images that they lack now, and show which these are.

    Returns once that has begun. What nodes lack is as of the last refresh; see
    'nublado refresh'.
    """
    service.begin("prepull")
    pending = service.get("status")["prepulls"]["images"]["pending"]
    if as_json:
        click.echo(json.dumps(pending, indent=2))
    elif pending:
        click.echo("Nodes are pulling what they lack:")
        print_table(("IMAGE", "NODES", "MISSING ON"), map(_row, pending))
    else:
        click.echo("All nodes have all images.")


def _row(image: JSON) -> tuple[str, ...]:
    have, lack = len(image["nodes"]), len(image["missing"])
    return (
        short_image(image["reference"]),
        f"{have} of {have + lack}",
        ", ".join(image["missing"]),
    )
