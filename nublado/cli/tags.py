"""``nublado tags``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence

import click

from nublado.cli.output import JSON_FLAG, fail
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.rsptag import RSPImageTag
from nublado.models.domain.tag_collection import RSPImageTagCollection

__all__ = ["tags"]

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
"""https://github.com/opencontainers/distribution-spec/blob/main/spec.md"""


@click.command(
    epilog="""\b
    Examples:
      nublado tags w_2026_45 d_2026_11_19 recommended --alias recommended
      skopeo list-tags docker://… | jq -r '.Tags[]' | nublado tags --json
    """
)
@click.argument("names", metavar="[TAG]…", nargs=-1)
@click.option(
    "--alias", "aliases", metavar="TAG", multiple=True, help="A tag that is an alias."
)
@click.option(
    "--cycle", type=click.IntRange(min=0), help="Only tags of this SAL cycle."
)
@JSON_FLAG
def tags(
    names: Sequence[str], aliases: Sequence[str], cycle: int | None, *, as_json: bool
) -> None:
    """Show how the service understands tags, in the order of the menu.

    Tags are read from standard input, one a line, if none are given. Variants
    of a tag for one architecture are left out if the tag itself is there.
    """
    names = names or _from_standard_input()
    for name in (*names, *aliases):
        if not _TAG.fullmatch(name):
            fail(f"{name!r} is no tag: 1 to 128 letters, digits, _, . and -")
    found = RSPImageTagCollection.from_names(names, aliases=set(aliases))
    if cycle is not None:
        found = found.of_cycle(cycle)
    shown = [_show(tag) for tag in found]
    if as_json:
        click.echo(json.dumps(shown, indent=2))
    else:
        _print_table(shown)


def _from_standard_input() -> list[str]:
    if sys.stdin.isatty():
        raise click.UsageError("Name tags, or send them to standard input.")
    try:
        return [line.strip() for line in sys.stdin if line.strip()]
    except UnicodeDecodeError:
        fail("standard input: not valid UTF-8")


def _show(tag: RSPImageTag) -> JSON:
    return {
        "tag": tag.tag,
        "type": tag.image_type.value,
        "display_name": tag.display_name,
        "cycle": tag.cycle,
        "version": None if tag.version is None else str(tag.version),
    }


def _print_table(shown: Iterable[JSON]) -> None:
    rows = [(s["tag"], s["type"], s["display_name"], s["version"] or "") for s in shown]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
