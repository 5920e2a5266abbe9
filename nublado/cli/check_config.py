"""``nublado check-config``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from nublado.config import check
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
    results = [check(file) for file in files]
    if as_json:
        click.echo(json.dumps([[asdict(p) for p in found] for found in results]))
    else:
        for file, problems in zip(files, results, strict=True):
            _print_report(file, problems)
    if any(results):
        ctx.exit(1)


def _print_report(file: Path, problems: Sequence[ConfigurationProblem]) -> None:
    name = click.format_filename(file)
    for problem in problems:
        where = f"{problem.path}: " if problem.path else ""
        click.echo(f"{name}:{problem.line or 1}: {where}{problem.message}")
    if not problems:
        click.echo(f"{name}: OK")
