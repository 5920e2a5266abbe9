"""``nublado hub``: the whole platform on one machine, for trying it."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import click
import requests

from nublado.cli.interrupts import Interrupts
from nublado.exceptions import ConfigurationError
from nublado.sandbox import DEMO_CONFIG
from nublado.sandbox.hub_process import HubNotInstalledError
from nublado.sandbox.platform import Platform

__all__ = ["hub"]

_LINES = 15


@click.command()
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=DEMO_CONFIG,
    help="Configuration of a deployment, used unchanged.",
)
@click.option("--user", default="rachel", show_default=True, help="As whom to log in.")
@click.option(
    "--tags",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    help="How many images there are.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Where the platform listens; 0 for any free port.",
)
@click.help_option("-h", "--help")
def hub(config_file: Path, user: str, tags: int, port: int) -> None:
    """Run the whole platform on this machine, until Ctrl-C.

    JupyterHub, its proxy, the service and the JupyterLabs are real; the cluster is
    embedded, and runs each lab as a process of this machine.
    """
    directory = Path(tempfile.mkdtemp(prefix="nublado-hub-"))
    platform = Platform(
        config_file,
        *("--tags", str(tags), "--port", "ingress", str(port)),
        directory=directory,
        report=_Reporter(),
    )
    stopping = "Stopping labs, JupyterHub, service and cluster"
    try:
        with Interrupts(platform.kill, stopping) as interrupts:
            _run(platform, user, interrupts)
    except (
        ConfigurationError,
        HubNotInstalledError,
        RuntimeError,
        requests.RequestException,
    ) as e:
        click.secho(f"\nThe platform has not started: {e}", fg="red", err=True)
        sys.exit(1)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run(platform: Platform, user: str, interrupts: Interrupts) -> None:
    try:
        platform.start()
        _show(platform, user)
        with suppress(KeyboardInterrupt):
            signal.pause()
        platform.stop()
        click.echo("All of it has ended.")
    except KeyboardInterrupt:
        sys.exit(interrupts.exit_code)
    except Exception:
        _show_logs(platform)
        raise
    finally:
        platform.stop()


class _Reporter:
    """Prints what is being done, and when since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, text: str) -> None:
        click.echo(f"{time.monotonic() - self._began:5.1f}s  {text} …")


def _show(platform: Platform, user: str) -> None:
    stack = platform.stack
    namespace = stack.config.lab.namespace_of(user)
    click.secho(f"\nOpen {platform.url}/nb/ and log in as {user}.", bold=True)
    click.echo(
        f"""
  Choose a lab, watch it start, and work in it; File → Hub Control Panel leads back.
  State of the service (log in as admin): {stack.ingress_url}/admin

To look behind it
  export KUBECONFIG={stack.sandbox.kubeconfig}
  kubectl get pods -A; kubectl logs -n {namespace} {user}-nb
  tail -f {platform.directory}/*.log   # service, JupyterHub, proxy

To break something while a lab starts
  kill -9 -- -{stack.service.pid}   # the controller
  curl -X PATCH {stack.endpoints.control}/settings -d '{{"pull_seconds": 60}}'

Ctrl-C ends all of it."""
    )


def _show_logs(platform: Platform) -> None:
    for name, log in platform.logs.items():
        click.secho(f"\nEnd of the log of {name}", bold=True, err=True)
        click.echo(log.last_lines(_LINES), err=True)
