"""``nublado labs``."""

from __future__ import annotations

import json

import click

from nublado.cli.output import JSON_FLAG
from nublado.cli.service import RunningService, service_options
from nublado.cli.table import age, print_table, short_image
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.lab import LabStatus

__all__ = ["labs"]


@click.command(
    epilog="""\b
    Examples:
      nublado labs --state failed
      nublado labs --node node-3 --json | jq -r '.[].username'
      nublado labs w_2026_45
    """
)
@click.argument("search", required=False)
@click.option(
    "--state",
    type=click.Choice([s.value for s in LabStatus]),
    help="Only in this state.",
)
@click.option("--node", help="Only on this node.")
@click.option("--image", help="Only those whose image has this in its reference.")
@click.option("--reason", help="Only those whose reason has this in it.")
@service_options
@JSON_FLAG
def labs(
    service: RunningService,
    search: str | None,
    state: str | None,
    node: str | None,
    image: str | None,
    reason: str | None,
    *,
    as_json: bool,
) -> None:
    """List the labs of a running service, those in trouble first.

    SEARCH is looked for in user, image, node and reason.
    """
    found = [
        lab
        for lab in service.get("status")["labs"]
        if _matches(lab, search, "username", "image", "node", "reason")
        and state in (None, lab["status"])
        and node in (None, lab["node"])
        and _matches(lab, image, "image")
        and _matches(lab, reason, "reason")
    ]
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found:
        titles = ("USER", "STATE", "AGE", "SIZE", "IMAGE", "NODE", "REASON")
        print_table(titles, map(_row, found))
    else:
        click.echo("No labs.")


def _matches(lab: JSON, text: str | None, *keys: str) -> bool:
    if text is None:
        return True
    return any(text.lower() in (lab[key] or "").lower() for key in keys)


def _row(lab: JSON) -> tuple[str, ...]:
    return (
        lab["username"],
        lab["status"],
        age(lab["created"]),
        lab["size"],
        short_image(lab["image"]),
        lab["node"] or "-",
        lab["reason"] or "",
    )
