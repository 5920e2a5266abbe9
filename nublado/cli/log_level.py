"""``nublado log-level``."""

from __future__ import annotations

import json

import click

from nublado.cli.notice import read_duration
from nublado.cli.output import JSON_FLAG
from nublado.cli.service import RunningService, service_options
from nublado.cli.table import until
from nublado.models.domain.kubernetes import JSON

__all__ = ["log_level"]

_PATH = "log-level"
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@click.command(
    epilog="""\b
    Examples:
      nublado log-level
      nublado log-level debug --for 30m
      nublado log-level --reset
    """
)
@click.argument("level", required=False, type=click.Choice(_LEVELS, False))
@click.option(
    "--for",
    "seconds",
    callback=read_duration,
    metavar="DURATION",
    help="After how long the usual level comes back, such as 90m or 2h; else 15 min.",
)
@click.option("--reset", is_flag=True, help="Log as usual again.")
@service_options
@JSON_FLAG
def log_level(
    service: RunningService,
    level: str | None,
    seconds: float | None,
    *,
    reset: bool,
    as_json: bool,
) -> None:
    """Show how much a running service logs, or have it log more or less for a time."""
    if level is None and seconds is not None:
        raise click.UsageError("--for needs a level.")
    if level is not None and reset:
        raise click.UsageError("Give either a level or --reset.")
    if reset:
        service.delete(_PATH)
    shown = (
        service.get(_PATH)
        if level is None
        else service.put(_PATH, _body(level, seconds))
    )
    if as_json:
        click.echo(json.dumps(shown))
    else:
        click.echo(f"Logged from {shown['level']} on, {_end(shown)}.")


def _body(level: str, seconds: float | None) -> JSON:
    body: JSON = {"level": level}
    if seconds is not None:
        body["seconds"] = round(seconds)
    return body


def _end(shown: JSON) -> str:
    return (
        "as usual" if shown["until"] is None else f"for another {until(shown['until'])}"
    )
