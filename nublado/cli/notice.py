"""What the subcommands that tell users something have in common."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, TypeVar

import click

from nublado.units import duration_to_seconds

__all__ = ["notice_options", "read_duration"]

Command = TypeVar("Command", bound=Callable[..., Any])


def notice_options(command: Command) -> Command:
    """Give a command with a message the options that say when it ends.

    The command is called with the body of a request as ``notice``.
    """

    @wraps(command)
    def run(
        message: str, seconds: float | None, until: datetime | None, **arguments: Any
    ) -> Any:
        if seconds is not None and until is not None:
            raise click.UsageError("Give either --for or --until.")
        if seconds is not None:
            until = datetime.now(UTC) + timedelta(seconds=seconds)
        notice = {"message": message, "until": until.isoformat() if until else None}
        return command(notice=notice, **arguments)

    decorated: Callable[..., Any] = run
    for option in (
        click.option(
            "--until",
            callback=_read_time,
            metavar="TIME",
            help="When it ends, such as 2026-11-25T22:00Z; local without a zone.",
        ),
        click.option(
            "--for",
            "seconds",
            callback=read_duration,
            metavar="DURATION",
            help="After how long it ends, such as 90m or 2h.",
        ),
    ):
        decorated = option(decorated)
    return decorated  # type: ignore[return-value]


def read_duration(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> float | None:
    """Read the value of an option as seconds."""
    if text is None:
        return None
    try:
        return duration_to_seconds(text)
    except ValueError as e:
        raise click.BadParameter(str(e)) from e


def _read_time(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as e:
        raise click.BadParameter(f"{text!r} is no time: {e}") from e
