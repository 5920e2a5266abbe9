"""``nublado sandbox``: an embedded cluster, to try things on."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from nublado.cli.output import (
    EXISTING_FILE,
    PORT,
    TAG_COUNT,
    fail,
    load_config,
    quiet_logs,
)
from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.checks import is_http_url
from nublado.sandbox.cluster import (
    Endpoints,
    Sandbox,
    SandboxError,
    SandboxOptions,
)
from nublado.sandbox.faults import Faults
from nublado.sandbox.kubernetes.controllers import ClusterSettings
from nublado.sandbox.kubernetes.releases import DEFAULT_RELEASE, RELEASES
from nublado.sandbox.leash import when_parent_ends
from nublado.sandbox.roles import read_manifests

__all__ = ["sandbox"]

_SERVERS = ("kubernetes", "registry", "gafaelfawr", "ingress", "control")
_STOP_SECONDS = 5.0


def _read_settings(
    ctx: click.Context, param: click.Parameter, value: str
) -> ClusterSettings:
    with _reading_json(ctx, param):
        return ClusterSettings.from_json(json.loads(value))


def _read_faults(ctx: click.Context, param: click.Parameter, value: str) -> JSON:
    with _reading_json(ctx, param):
        faults: JSON = json.loads(value)
        Faults().from_json(faults)
        return faults


@contextmanager
def _reading_json(ctx: click.Context, param: click.Parameter) -> Iterator[None]:
    try:
        yield
    except json.JSONDecodeError as e:
        message = f"not valid JSON: {e.msg} at character {e.pos + 1}"
        raise click.BadParameter(message, ctx, param) from e
    except (ValueError, RecursionError) as e:
        raise click.BadParameter(str(e), ctx, param) from e


def _check_url(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> str | None:
    if value is not None and not is_http_url(value):
        message = f"{value!r} is no URL such as http://127.0.0.1:8080."
        raise click.BadParameter(message, ctx, param)
    return value


def _check_ports(
    ctx: click.Context, param: click.Parameter, value: Sequence[tuple[str, int]]
) -> dict[str, int]:
    """Refuse what would fail only once the second server starts."""
    names = Counter(name for name, _ in value)
    numbers = Counter(port for _, port in value if port)
    for one, times in [*names.items(), *numbers.items()]:
        if times > 1:
            raise click.BadParameter(f"{one} is given twice.", ctx, param)
    return dict(value)


def _load_roles(file: Path) -> list[JSON]:
    try:
        return read_manifests(file)
    except ValueError as e:
        fail(str(e))


@click.command(
    epilog="""\b
    Examples:
      nublado sandbox --config config.yaml --port ingress 8000
      nublado sandbox --nodes 5 --settings '{"pull_seconds": 20}'
    """
)
@click.option(
    "--config",
    "config_file",
    type=EXISTING_FILE,
    help="Prepare the cluster for the configuration of a deployment.",
)
@click.option(
    "--nodes",
    type=click.IntRange(0, 5_000),
    help="How many nodes to make.  [default: 3]",
)
@click.option(
    "--tags",
    type=TAG_COUNT,
    default=60,
    show_default=True,
    help="How many tags the registry has.",
)
@click.option(
    "--settings",
    default="{}",
    metavar="JSON",
    callback=_read_settings,
    help="Settings of the cluster, as its control API shows them.",
)
@click.option(
    "--service-url",
    metavar="URL",
    callback=_check_url,
    help="Where the ingress finds the service.",
)
@click.option(
    "--kubernetes",
    type=click.Choice(tuple(RELEASES)),
    default=DEFAULT_RELEASE,
    show_default=True,
    help="Release of Kubernetes that the cluster is.",
)
@click.option(
    "--faults",
    default="{}",
    metavar="JSON",
    callback=_read_faults,
    help="Faults from the very start, as PUT /faults of its control API takes them.",
)
@click.option(
    "--rbac",
    "rbac_file",
    type=EXISTING_FILE,
    help="Roles and bindings to which the service's account is held.",
)
@click.option(
    "--port",
    "ports",
    type=(click.Choice(_SERVERS), PORT),
    multiple=True,
    callback=_check_ports,
    help="Port of a server; any free one by default.",
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to write kubeconfig and podinfo.",
)
@click.option(
    "--state-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write the URLs to, once everything listens.",
)
@click.option("--quiet", is_flag=True, help="Print nothing.")
@click.option("--leashed", is_flag=True, hidden=True)
def sandbox(
    config_file: Path | None,
    nodes: int | None,
    tags: int,
    settings: ClusterSettings,
    kubernetes: str,
    faults: JSON,
    rbac_file: Path | None,
    service_url: str | None,
    ports: Mapping[str, int],
    directory: Path | None,
    state_file: Path | None,
    *,
    quiet: bool,
    leashed: bool,
) -> None:
    """Run a Kubernetes cluster, a registry, Gafaelfawr and an ingress.

    All of them listen on this machine only, and end with Ctrl-C.
    """
    quiet_logs()
    config = load_config(config_file) if config_file else None
    roles = _load_roles(rbac_file) if rbac_file else None
    if nodes is not None:
        settings.nodes = nodes
    if state_file is not None and not state_file.parent.is_dir():
        raise click.BadParameter(
            f"{state_file.parent} is no directory", param_hint="--state-file"
        )
    with _directory(directory, removed=leashed or directory is None) as place:
        options = SandboxOptions(
            config=config,
            settings=settings,
            tags=tags,
            ports=dict(ports),
            service_url=service_url,
            directory=place,
            kubernetes=kubernetes,
            faults=faults,
            rbac=roles,
        )
        try:
            asyncio.run(_run(options, state_file, quiet=quiet, leashed=leashed))
        except SandboxError as e:
            fail(str(e))


@contextmanager
def _directory(chosen: Path | None, *, removed: bool) -> Iterator[Path]:
    """Make the directory for files, and perhaps remove it in the end."""
    if chosen is None:
        place = Path(tempfile.mkdtemp(prefix="sandbox-"))
    else:
        place = chosen
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise click.BadParameter(
                f"{place} cannot be made: {e.strerror}", param_hint="--directory"
            ) from e
    try:
        yield place
    finally:
        if removed:
            shutil.rmtree(place, ignore_errors=True)


async def _run(
    options: SandboxOptions, state_file: Path | None, *, quiet: bool, leashed: bool
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        if not quiet:
            click.echo("Stopping… (Ctrl-C again to stop at once)", err=True)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupt)
    if leashed:
        when_parent_ends(partial(_end, loop, stop, options.directory))
    running = Sandbox(options)
    endpoints = await running.start()
    for warning in options.settings.idle_patterns(running.known_images()):
        click.secho(f"Warning: {warning}", fg="yellow", err=True)
    if state_file is not None:
        incomplete = state_file.with_suffix(".partial")
        incomplete.write_text(json.dumps(asdict(endpoints)))
        incomplete.rename(state_file)
    if not quiet:
        _tell(endpoints, options.directory)
    await stop.wait()
    await running.stop()


def _end(
    loop: asyncio.AbstractEventLoop, stop: asyncio.Event, directory: Path | None
) -> None:
    """Stop without being told to; in the worst case without being orderly."""
    loop.call_soon_threadsafe(stop.set)
    time.sleep(_STOP_SECONDS)
    if directory is not None:
        shutil.rmtree(directory, ignore_errors=True)
    os._exit(1)


def _tell(endpoints: Endpoints, directory: Path | None) -> None:
    for name, url in asdict(endpoints).items():
        click.echo(f"{name:12}{url}")
    click.echo(f"\nexport KUBECONFIG={directory}/kubeconfig\nkubectl get nodes")
    click.echo(f"curl {endpoints.control}/   # what else it can do")
