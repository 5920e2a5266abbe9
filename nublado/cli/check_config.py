"""``nublado check-config``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from nublado.config import examine
from nublado.config.model import Config
from nublado.config.notes import notes
from nublado.exceptions import ConfigurationProblem

__all__ = ["check_config"]


@click.command(
    epilog="""\b
    Examples:
      nublado check-config config.yaml
      nublado check-config --json deployments/*.yaml
    """
)
@click.argument(
    "files", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print a list of problems per file as JSON."
)
@click.pass_context
def check_config(ctx: click.Context, files: Sequence[Path], *, as_json: bool) -> None:
    """Check configuration files, and report all of their problems.

    Exits with 0 if every file can be used, 1 if one has a problem, and 2 if the
    command itself is wrong.
    """
    results = [examine(file) for file in files]
    found = [[] if isinstance(result, Config) else result for result in results]
    if as_json:
        click.echo(json.dumps([[asdict(p) for p in problems] for problems in found]))
    else:
        for file, result in zip(files, results, strict=True):
            _print_report(click.format_filename(file), result)
    if any(found):
        ctx.exit(1)


def _print_report(name: str, result: Config | list[ConfigurationProblem]) -> None:
    if isinstance(result, Config):
        click.echo(f"{name}: OK, {_reading(result)}")
        for note in notes(result):
            click.echo(f"{name}: note: {note}")
        return
    for problem in result:
        where = f"{problem.path}: " if problem.path else ""
        click.echo(f"{name}:{problem.line or 1}: {where}{problem.message}")


def _reading(config: Config) -> str:
    """Say how a file was read."""
    containers = "on" if config.lab.standard_containers else "off"
    return (
        f"read as a configuration for {config.style}:"
        f" standard init containers {containers}"
    )
