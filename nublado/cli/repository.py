"""``nublado images list``, ``prune`` and ``delete``: a repository as a whole."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click

from nublado.cli.output import (
    EXISTING_FILE,
    fail,
    log_to_standard_error,
    read_environment,
    reporting,
)
from nublado.config.model import DockerSourceConfig
from nublado.config.registry import RegistryConfig, load_registry_config
from nublado.models.domain.image_deletion import (
    DeletionPlan,
    TaggedImage,
    plan_deletion,
    plan_pruning,
)
from nublado.models.domain.rspimage import RSPImageCollection
from nublado.models.domain.rsptag import RSPImageTag
from nublado.models.domain.tag_collection import RSPImageTagCollection
from nublado.services.image_repository import ImageRepository, make_image_repository
from nublado.services.running_images import running_digests
from nublado.storage.kubernetes.client import KubernetesClient
from nublado.storage.kubernetes.cluster import Cluster
from nublado.timeout import Timeout

__all__ = ["delete_images", "list_images", "prune_images"]

_READ_SECONDS = 900.0
_KUBERNETES_SECONDS = 120.0
_DELETE_SECONDS = 4 * 3600.0

_F = TypeVar("_F", bound=Callable[..., None])


@dataclass(frozen=True, slots=True)
class _Settings:
    """What all of the commands are told."""

    file: Path | None
    credentials: Path | None
    debug: bool


def _settings(command: _F) -> _F:
    """Give a command the options that say which repository it is about."""
    for option in (
        click.option(
            *("-d", "--debug"), is_flag=True, help="Log all that is done, in detail."
        ),
        click.option(
            *("-a", "--credentials"),
            type=EXISTING_FILE,
            help="Docker's config.json with credentials, whatever FILE says.",
        ),
        click.option(
            *("-c", "--config", "file"),
            metavar="FILE",
            type=EXISTING_FILE,
            help="Which repository, and what to keep; see the documentation.",
        ),
    ):
        command = option(command)
    return command


def _actions(command: _F) -> _F:
    """Give a command the options that say whether it deletes anything."""
    for option in (
        click.option(
            "--kubeconfig",
            type=EXISTING_FILE,
            help="Cluster whose labs must find their images.",
        ),
        click.option("--yes", "is_agreed", is_flag=True, help="Delete without asking."),
        click.option(
            *("-n", "--dry-run"),
            is_flag=True,
            help="Only show what would be deleted, which is the default.",
        ),
    ):
        command = option(command)
    return command


@click.command(name="list")
@_settings
def list_images(file: Path | None, credentials: Path | None, *, debug: bool) -> None:
    """List all tags of a repository in the order of the menu, one a line.

    Tags of one architecture are listed too.
    """
    settings = _Settings(file, credentials, debug)
    with _repository(settings) as (repository, _):
        tags = repository.tags(Timeout("Reading the repository", _READ_SECONDS))
    for tag in RSPImageTagCollection(RSPImageTag.parse(tag) for tag in tags):
        click.echo(tag.tag)


@click.command(name="prune")
@_settings
@_actions
def prune_images(
    file: Path | None,
    credentials: Path | None,
    kubeconfig: Path | None,
    *,
    debug: bool,
    is_agreed: bool,
    dry_run: bool,
) -> None:
    """Delete the images of a repository that no filter keeps.

    Aliases and unknown tags are always kept, and so is every image that one of
    them, a tag that is kept, or a running lab (with --kubeconfig) uses. Shows
    what would be deleted, and asks on a terminal; only --yes deletes elsewhere.
    """
    _check_actions(is_agreed=is_agreed, dry_run=dry_run)
    settings = _Settings(file, credentials, debug)
    with _repository(settings) as (repository, config):
        if config.prune is None:
            raise click.UsageError(
                "Nothing says what to keep: give prune in FILE, or NUBLADO_PRUNE."
            )
        images = _read(repository)
        running = _running(kubeconfig, images)
        plan = plan_pruning(images, config.prune, running, datetime.now(UTC))
        _carry_out(repository, plan, is_agreed=is_agreed, dry_run=dry_run)


@click.command(name="delete")
@click.argument("tags", metavar="TAG…", nargs=-1, required=True)
@_settings
@_actions
def delete_images(
    tags: Sequence[str],
    file: Path | None,
    credentials: Path | None,
    kubeconfig: Path | None,
    *,
    debug: bool,
    is_agreed: bool,
    dry_run: bool,
) -> None:
    """Delete the images behind tags, with all other tags that they have.

    Refuses if one of them is also an alias or an unknown tag that is not given,
    a part of an image that stays, or run by a lab (with --kubeconfig). Shows
    what would be deleted, and asks on a terminal; only --yes deletes elsewhere.
    """
    _check_actions(is_agreed=is_agreed, dry_run=dry_run)
    settings = _Settings(file, credentials, debug)
    with _repository(settings) as (repository, _):
        images = _read(repository)
        if unknown := [tag for tag in tags if tag not in images]:
            fail(f"no such tag: {', '.join(unknown)}; nothing was deleted")
        plan = plan_deletion(images, tags, _running(kubeconfig, images))
        if plan.spared:
            found = "; ".join(f"{tag}: {why}" for tag, why in plan.spared.items())
            fail(f"nothing was deleted, since not everything may be: {found}")
        _carry_out(repository, plan, is_agreed=is_agreed, dry_run=dry_run)


def _check_actions(*, is_agreed: bool, dry_run: bool) -> None:
    if is_agreed and dry_run:
        raise click.UsageError("--yes and --dry-run exclude each other.")


@contextmanager
def _repository(
    settings: _Settings,
) -> Iterator[tuple[ImageRepository, RegistryConfig]]:
    """Open the repository that file and variables name; exits with 1 if it fails."""
    with reporting(str(settings.file or "environment")):
        config = load_registry_config(settings.file)
        level = "DEBUG" if settings.debug else config.log_level
        log_to_standard_error(config.log_profile, level)
        source = config.source
        if settings.credentials and isinstance(source, DockerSourceConfig):
            source = replace(source, credentials_path=settings.credentials)
        repository = make_image_repository(source, read_environment().registry_mirrors)
        try:
            yield repository, config
        finally:
            repository.close()


def _read(repository: ImageRepository) -> RSPImageCollection:
    if sys.stderr.isatty():
        click.echo("Reading the repository…", err=True)
    return repository.images(Timeout("Reading the repository", _READ_SECONDS))


def _running(kubeconfig: Path | None, images: RSPImageCollection) -> set[str]:
    if kubeconfig is None:
        return set()
    cluster = Cluster(KubernetesClient.connect(str(kubeconfig)))
    try:
        timeout = Timeout("Reading labs", _KUBERNETES_SECONDS)
        return running_digests(cluster, images, timeout)
    finally:
        cluster.stop()


def _carry_out(
    repository: ImageRepository,
    plan: DeletionPlan,
    *,
    is_agreed: bool,
    dry_run: bool,
) -> None:
    """Show a plan, and do what it says if that is wanted."""
    if plan.spared:
        click.echo("Kept for other reasons than the filters:", err=True)
        for tag, why in plan.spared.items():
            click.echo(f"  {tag}: {why}", err=True)
    if not plan.doomed:
        click.echo("Nothing to delete.")
        return
    if not is_agreed:
        click.echo("Would delete images:")
        for image in plan.doomed:
            _show(image)
        if dry_run or not _is_terminal():
            return
        click.confirm(f"Delete {len(plan.doomed)} images?", abort=True)
    click.echo("Deleted images:")
    for image in repository.delete(
        plan.doomed, Timeout("Deletion of images", _DELETE_SECONDS)
    ):
        _show(image)


def _show(image: TaggedImage) -> None:
    click.echo(f"  {' '.join(image.tags)}")


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
