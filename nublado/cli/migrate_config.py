"""``nublado migrate-config``."""

from __future__ import annotations

from pathlib import Path

import click

from nublado.cli.output import EXISTING_FILE, fail, reporting
from nublado.config.chart_values import ChartValues, read_chart_values
from nublado.config.document import UnreadableError, read_document
from nublado.config.migration import compare, examine_text, migrate
from nublado.config.model import Config
from nublado.exceptions import ConfigurationProblem

__all__ = ["migrate_config"]

_MISSING = "is required, and missing"


@click.command(
    epilog="""\b
    Examples:
      nublado migrate-config config.yaml > new.yaml && nublado check-config new.yaml
      nublado migrate-config values-site.yaml > our-values.yaml
    """
)
@click.argument("file", metavar="FILE", type=EXISTING_FILE)
@click.option(
    "--keep-labs",
    is_flag=True,
    help="Set what keeps labs as they are, in place of the new defaults.",
)
def migrate_config(file: Path, *, keep_labs: bool) -> None:
    """Print a configuration for 8.2 as one for 15.1.

    Comments and order are kept. What changes for labs is said on standard error.
    FILE may also hold the values of the original's Helm chart: its configuration
    is then below controller.config, and values for the chart of this controller
    are printed.
    """
    with reporting(str(file)):
        try:
            read_document(file)
        except UnreadableError as e:
            fail(f"{file}:{e.line or 1}: {e.message}")
        text = file.read_bytes().decode("utf-8-sig")
        values = read_chart_values(text)
        _migrate(file, values.config if values else text, values, keep_labs=keep_labs)


def _migrate(
    file: Path, text: str, values: ChartValues | None, *, keep_labs: bool
) -> None:
    before = examine_text(text)
    if not isinstance(before, Config):
        _refuse_unusable(file, before, is_part=values is not None)
    migration = migrate(text, keep_labs=keep_labs)
    after = examine_text(migration.text)
    remarks = list(migration.remarks)
    if isinstance(before, Config) and isinstance(after, Config):
        remarks += compare(before, after)
    elif isinstance(before, Config) and not isinstance(after, Config):
        problems = "; ".join(f"{p.path}: {p.message}" for p in after)
        fail(f"{file}: with the defaults of 15.1 it would not be usable: {problems}")
    else:
        remarks.append(
            "This is a part of a configuration, and could not be checked: merge it"
            " with the rest, and use check-config."
        )
    if values is not None:
        remarks += values.remarks
    click.echo(
        values.with_config(migration.text) if values else migration.text, nl=False
    )
    for remark in remarks:
        click.echo(f"* {remark}", err=True)


def _refuse_unusable(
    file: Path, problems: list[ConfigurationProblem], *, is_part: bool
) -> None:
    """Refuse what cannot be used now; values may be one of several files."""
    found = [p for p in problems if not (is_part and p.message == _MISSING)]
    if found:
        told = "\n".join(f"  {p.path}: {p.message}" for p in found)
        fail(f"{file}: is no configuration that can be used as it is:\n{told}")
