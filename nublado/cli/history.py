"""``nublado history``."""

from __future__ import annotations

import json

import click

from nublado.cli.output import JSON_FLAG
from nublado.cli.service import RunningService, service_options
from nublado.cli.table import age, print_table, short_image
from nublado.models.domain.kubernetes import JSON

__all__ = ["history"]

_TITLES = (
    *("AGO", "WHAT", "RESULT", "SECONDS", "IMAGE", "NODE", "REQUEST"),
    "REASON",
)


@click.command(
    epilog="""\b
    Examples:
      nublado history rachel
      nublado history rachel --events
    """
)
@click.argument("username", metavar="USER")
@click.option("--events", is_flag=True, help="With all events of each operation.")
@service_options
@JSON_FLAG
def history(
    service: RunningService, username: str, *, events: bool, as_json: bool
) -> None:
    """Show what was done for a user lately, and what happened to their lab."""
    shown = service.get_of("history", username)
    entries = shown["history"]
    if as_json:
        click.echo(json.dumps(shown, indent=2))
    elif not entries:
        click.echo(f"Nothing is known of {username}.")
    elif events:
        for entry in entries:
            _print_events(entry)
    else:
        print_table(_TITLES, map(_row, entries))


def _row(entry: JSON) -> tuple[str, ...]:
    return (
        age(entry["ended"]),
        entry["kind"],
        entry["result"],
        _seconds(entry),
        short_image(entry["image"]),
        entry["node"] or "-",
        entry["request_id"] or "-",
        entry["reason"] or "",
    )


def _seconds(entry: JSON) -> str:
    phases = entry["seconds"]
    return f"{sum(phases.values()):.1f}" if phases else "-"


def _print_events(entry: JSON) -> None:
    click.secho(f"{entry['ended']} {entry['kind']} {entry['result']}", bold=True)
    for event in entry["events"]:
        colour = "red" if event["type"] in ("error", "failed") else None
        click.secho(f"  {event['timestamp']} {event['message']}", fg=colour)
