"""``nublado images``."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import click

from nublado.cli.output import (
    EXISTING_FILE,
    JSON_FLAG,
    load_config,
    quiet_logs,
    read_environment,
    reporting,
)
from nublado.cli.repository import delete_images, list_images, prune_images
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.rspimage import RSPImage
from nublado.models.domain.source_report import SourceReport
from nublado.models.v1.images import dump_images
from nublado.services.image import ImageService
from nublado.services.source.configured import make_image_source

__all__ = ["images", "read_images"]

_MOST_SKIPPED = 5


@click.group(
    invoke_without_command=True,
    epilog="""\b
    Examples:
      nublado images --config /etc/nublado/config.yaml
      nublado images --config config.yaml --json | jq -r '.prepull[].tag'
      nublado images prune -c registry.yaml --kubeconfig ~/.kube/config
    """,
)
@click.option(
    "--config",
    "config_file",
    type=EXISTING_FILE,
    help="Configuration of a deployment.",
)
@JSON_FLAG
@click.pass_context
def images(ctx: click.Context, config_file: Path | None, *, as_json: bool) -> None:
    """Read the source of images, and show what it has and how it was read.

    The credentials are those of the configuration. No cluster is needed: the
    menu is what it will be once every node has the images to prepull.

    The commands are about a repository as a whole, and have a file of their own.
    """
    if ctx.invoked_subcommand is not None:
        if config_file is not None or as_json:
            ctx.fail(f"Options go after {ctx.invoked_subcommand}.")
        return
    if config_file is None:
        raise click.MissingParameter(ctx=ctx, param=ctx.command.params[0])
    service = read_images(config_file)
    inventory = service.inventory
    # Without nodes, none lacks an image.
    prepull = [prepull.image for prepull in inventory.prepulls().prepulled]
    menu = inventory.menu()
    if as_json:
        shown = {
            **dump_images(inventory.known()),
            "prepull": _show(prepull),
            "menu": _show(menu),
            "source": asdict(service.report),
        }
        click.echo(json.dumps(shown, indent=2))
    else:
        _print_report(service.report)
        _print_list("Would be prepulled", prepull)
        _print_list("The menu would show", menu)
        _print_list("All images, as in the dropdown", inventory.dropdown())


for _command in (list_images, prune_images, delete_images):
    images.add_command(_command)


def read_images(config_file: Path) -> ImageService:
    """Read the source that a configuration names; exits with 1 if it fails."""
    config = load_config(config_file).images
    mirrors = read_environment().registry_mirrors
    quiet_logs()
    if sys.stderr.isatty():
        click.echo("Reading the source of images…", err=True)
    with reporting(str(config_file)):
        service = ImageService(config, make_image_source(config, mirrors))
        try:
            service.refresh(())
        finally:
            service.close()
    return service


def _show(chosen: Iterable[RSPImage]) -> list[JSON]:
    return [
        {"tag": i.tag, "name": i.display_name, "reference": i.reference_with_digest}
        for i in chosen
    ]


def _print_report(report: SourceReport) -> None:
    click.secho("How the source was read:", bold=True)
    for key, problem in report.unusable.items():
        click.echo(f"  unusable credentials: {key} {problem}")
    for key, status in report.refused.items():
        click.echo(f"  refused credentials: {key} (status {status})")
    access = f"with {report.credentials}" if report.credentials else "anonymously"
    click.echo(f"  registry: {report.endpoint}, {access}")
    click.echo(f"  tags: {report.tags}, pages: {report.pages}")
    for method, count in Counter(report.digests.values()).most_common():
        click.echo(f"  digests from {method}: {count}")
    for tag, reason in report.failed.items():
        click.echo(f"  no digest of {tag}: {reason}")
    by_reason: dict[str, list[str]] = {}
    for tag, reason in report.skipped.items():
        by_reason.setdefault(reason, []).append(tag)
    for reason, skipped in by_reason.items():
        shown = ", ".join(skipped[:_MOST_SKIPPED])
        more = ", …" if len(skipped) > _MOST_SKIPPED else ""
        click.echo(f"  skipped: {len(skipped)} ({reason}): {shown}{more}")


def _print_list(title: str, chosen: Iterable[RSPImage]) -> None:
    click.secho(f"{title}:", bold=True)
    for image in chosen:
        click.echo(f"  {image.display_name}  ({image.tag})")
