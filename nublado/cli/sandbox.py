"""``nublado sandbox``: an embedded cluster, to try things on."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from nublado.config import load
from nublado.exceptions import ConfigurationError
from nublado.sandbox.cluster import Endpoints, Sandbox, SandboxOptions
from nublado.sandbox.kubernetes.controllers import ClusterSettings

__all__ = ["sandbox"]

_SERVERS = ("kubernetes", "registry", "gafaelfawr", "ingress", "control")


@click.command()
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Prepare the cluster for the configuration of a deployment.",
)
@click.option("--nodes", default=3, show_default=True, help="How many nodes to make.")
@click.option(
    "--tags", default=60, show_default=True, help="How many tags the registry has."
)
@click.option(
    "--settings",
    default="{}",
    help="Settings of the cluster as JSON, as its control API shows them.",
)
@click.option("--service-url", help="Where the ingress finds the service.")
@click.option("--hub-url", help="Where the ingress finds JupyterHub's proxy.")
@click.option(
    "--run-labs",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, executable=True),
    help="Run this program, such as jupyterhub-singleuser, for each lab's pod.",
)
@click.option(
    "--port",
    "ports",
    type=(click.Choice(_SERVERS), int),
    multiple=True,
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
def sandbox(
    config_file: Path | None,
    nodes: int,
    tags: int,
    settings: str,
    service_url: str | None,
    hub_url: str | None,
    run_labs: Path | None,
    ports: tuple[tuple[str, int], ...],
    directory: Path | None,
    state_file: Path | None,
    *,
    quiet: bool,
) -> None:
    """Run a Kubernetes cluster, a registry, Gafaelfawr and an ingress.

    All of them listen on this machine only, and end with Ctrl-C.
    """
    if run_labs is not None and sys.platform != "linux":
        raise click.BadParameter("labs run on Linux only", param_hint="--run-labs")
    try:
        cluster = ClusterSettings(**{"nodes": nodes, **json.loads(settings)})
    except (ValueError, TypeError) as e:
        raise click.BadParameter(str(e), param_hint="--settings") from e
    try:
        config = load(config_file) if config_file else None
    except ConfigurationError as e:
        raise click.ClickException(str(e)) from e
    with tempfile.TemporaryDirectory(prefix="sandbox-") as temporary:
        options = SandboxOptions(
            config=config,
            settings=cluster,
            tags=tags,
            ports=dict(ports),
            service_url=service_url,
            hub_url=hub_url,
            run_labs=run_labs,
            directory=directory or Path(temporary),
        )
        asyncio.run(_run(options, state_file, quiet=quiet))


async def _run(
    options: SandboxOptions, state_file: Path | None, *, quiet: bool
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    running = Sandbox(options)
    endpoints = await running.start()
    if state_file is not None:
        partial = state_file.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(endpoints)))
        partial.rename(state_file)
    if not quiet:
        _tell(endpoints, options.directory)
    await stop.wait()
    await running.stop()


def _tell(endpoints: Endpoints, directory: Path | None) -> None:
    for name, url in asdict(endpoints).items():
        click.echo(f"{name:12}{url}")
    click.echo(f"\nexport KUBECONFIG={directory}/kubeconfig\nkubectl get nodes")
    click.echo(f"curl {endpoints.control}/   # what else it can do")
