"""How subcommands read their input, and report what is wrong with it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
import structlog
from structlog.typing import EventDict, Processor

from nublado.config import load
from nublado.config.environment import Environment
from nublado.config.model import Config, Profile
from nublado.exceptions import (
    ConfigurationError,
    InvalidEnvironmentError,
    NubladoError,
    ValidationProblemsError,
)
from nublado.redaction import redact

__all__ = [
    "EXISTING_FILE",
    "JSON_FLAG",
    "PORT",
    "TAG_COUNT",
    "fail",
    "load_config",
    "log_to_standard_error",
    "quiet_logs",
    "read_environment",
    "read_json",
    "reporting",
]

EXISTING_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
"""Type of an option that names a file to read."""

PORT = click.IntRange(0, 65_535)
"""Type of a port; 0 is any that is free."""

TAG_COUNT = click.IntRange(1, 100_000)
"""Type of how many tags a made-up registry has."""

JSON_FLAG = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, for programs."
)
"""The option ``--json``."""


def fail(message: str) -> NoReturn:
    """Say what is wrong, and exit with 1."""
    click.secho(f"Error: {message}", fg="red", err=True)
    raise click.exceptions.Exit(1)


def load_config(file: Path) -> Config:
    """Load a configuration; exits with 1, naming everything wrong with it."""
    try:
        return load(file)
    except ConfigurationError as e:
        fail(str(e))


def read_environment() -> Environment:
    """Read the environment; exits with 1, naming everything wrong with it."""
    try:
        return Environment.read()
    except InvalidEnvironmentError as e:
        fail(str(e))


def read_json(file: Path) -> Any:
    """Read JSON; exits with 1, naming the place, if it is none."""
    try:
        return json.loads(file.read_bytes())
    except OSError as e:
        fail(f"{file}: {e.strerror}")
    except json.JSONDecodeError as e:
        fail(f"{file}:{e.lineno}: not valid JSON: {e.msg}")
    except (ValueError, RecursionError):
        fail(f"{file}: not valid JSON")


def quiet_logs() -> None:
    """Log only warnings, and not among the output."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _redact_event(_: object, __: str, event: EventDict) -> EventDict:
    return {key: redact(value, key) for key, value in event.items()}


def log_to_standard_error(profile: Profile, level: str) -> None:
    """Log from a level on, and not among the output."""
    renderer: Processor = structlog.processors.JSONRenderer()
    if profile is Profile.DEVELOPMENT:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            _redact_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@contextmanager
def reporting(place: str) -> Iterator[None]:
    """Turn errors of the service into messages that name a place; exits with 1."""
    try:
        yield
    except ValidationProblemsError as e:
        found = (
            f"{place}: {'.'.join(map(str, p.location))}: {p.message}"
            for p in e.problems
        )
        fail("\n".join(found))
    except (NubladoError, ValueError) as e:
        fail(f"{place}: {e}")
