"""``nublado demo``: spawn a lab, and watch it start."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import requests

from nublado.cli.interrupts import Interrupts
from nublado.cli.output import EXISTING_FILE, TAG_COUNT
from nublado.constants import USERNAME_PATTERN
from nublado.exceptions import ConfigurationError
from nublado.sandbox import DEMO_CONFIG
from nublado.sandbox.demonstration import Demonstration, DemonstrationError
from nublado.sandbox.log_file import LogFile
from nublado.sandbox.stack import Stack

__all__ = ["demo"]

_HOST = "127.0.0.1"
_HUB = "hub"
_LONGEST_USERNAME = 32
_LOG_LINES = 30
_REFRESH_SECONDS = 15
"""Often, so that a broken registry shows while one looks."""


def _check_user(ctx: click.Context, param: click.Parameter, value: str) -> str:
    is_name = USERNAME_PATTERN.fullmatch(value) and len(value) <= _LONGEST_USERNAME
    if not is_name:
        message = (
            f"{value!r} is no username: at most {_LONGEST_USERNAME} lower-case letters"
            " and digits, with single hyphens between them."
        )
        raise click.BadParameter(message, ctx, param)
    if value == _HUB:
        raise click.BadParameter("hub is JupyterHub, which has no lab.", ctx, param)
    return value


def _check_port(
    ctx: click.Context, param: click.Parameter, value: int | None
) -> int | None:
    """Find out now, rather than in a minute, whether a port can be had."""
    if value is None:
        return None
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, value))
        except OSError as e:
            message = f"{value} cannot be used: {e.strerror}. Choose another."
            raise click.BadParameter(message, ctx, param) from e
    return value


@dataclass(frozen=True, slots=True)
class _Options:
    user: str
    then_exit: bool
    verbose: bool


@click.command(
    epilog="""\b
    Examples:
      nublado demo --port 8000
      nublado demo --exit --verbose
      nublado demo --config deployment.yaml --tags 3000
    """
)
@click.option(
    "--config",
    "config_file",
    type=EXISTING_FILE,
    default=DEMO_CONFIG,
    help="Configuration of a deployment, used unchanged.",
)
@click.option(
    "--user",
    default="rachel",
    show_default=True,
    callback=_check_user,
    help="Who wants a lab.",
)
@click.option(
    "--tags",
    type=TAG_COUNT,
    default=60,
    show_default=True,
    help="How many images there are.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    callback=_check_port,
    help="Port of the ingress, where to point a browser; any free one by default.",
)
@click.option(
    "--verbose", is_flag=True, help="Show the objects and the whole state of the lab."
)
@click.option(
    "--exit", "then_exit", is_flag=True, help="Delete the lab and end, once it runs."
)
def demo(
    config_file: Path,
    user: str,
    tags: int,
    port: int | None,
    *,
    verbose: bool,
    then_exit: bool,
) -> None:
    """Spawn a lab on an embedded cluster, and show how it comes up.

    Everything is the real thing but for the cluster: the service runs under
    gunicorn and is reached through an ingress.
    """
    directory = Path(tempfile.mkdtemp(prefix="nublado-demo-"))
    try:
        with LogFile(directory / "demo.log") as log:
            stack = Stack(
                config_file,
                *("--tags", str(tags)),
                *(("--port", "ingress", str(port)) if port else ()),
                environ={"NUBLADO_REFRESH_INTERVAL": str(_REFRESH_SECONDS)},
                log=log.writer,
                directory=directory,
            )
            with Interrupts(stack.kill) as interrupts:
                _run(stack, log, _Options(user, then_exit, verbose), interrupts)
    except (
        ConfigurationError,
        DemonstrationError,
        RuntimeError,
        requests.RequestException,
    ) as e:
        click.secho(f"\nThe demonstration has failed: {e}", fg="red", err=True)
        sys.exit(1)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run(stack: Stack, log: LogFile, options: _Options, interrupts: Interrupts) -> None:
    try:
        _demonstrate(stack, options, interrupts)
    except KeyboardInterrupt:
        sys.exit(interrupts.exit_code)
    except Exception:
        click.echo(log.last_lines(_LOG_LINES), err=True)
        raise
    finally:
        stack.stop()


def _demonstrate(stack: Stack, options: _Options, interrupts: Interrupts) -> None:
    click.secho("Starting cluster, registry, Gafaelfawr, ingress, service …", bold=True)
    began = time.monotonic()
    stack.start()
    click.echo(f"Ready after {time.monotonic() - began:.1f} s.\n")
    shown = Demonstration(stack, options.user)
    click.secho(f"Spawning a lab for {options.user}", bold=True)
    shown.spawn(_progress_printer())
    if options.verbose:
        click.secho("\nState of the lab", bold=True)
        click.echo(json.dumps(shown.state(), indent=2))
        click.secho("\nIts objects", bold=True)
        _show_objects(shown)
    if not options.then_exit:
        interrupts.doing = "Deleting the lab"
        _stay(shown)
    else:
        click.echo("\nDeleting the lab…")
    click.echo(f"Gone after {shown.delete():.1f} s. Stopping service and cluster…")


def _progress_printer() -> Callable[[str, str, int | None], None]:
    """Make what prints events: with a bar on a terminal, else line by line."""
    on_terminal = sys.stdout.isatty()
    colours = {"error": "red", "failed": "red", "complete": "green"}
    began = time.monotonic()

    def show(kind: str, message: str, progress: int | None) -> None:
        seconds = f"{time.monotonic() - began:5.1f}s"
        if kind == "complete":
            progress = 100
        share = "    " if progress is None else f"{progress:3d}%"
        bar = ""
        if on_terminal and progress is not None:
            filled = progress * 20 // 100
            bar = "█" * filled + "░" * (20 - filled) + " "
        click.secho(f"{seconds} {share} {bar}{message}", fg=colours.get(kind))

    return show


def _show_objects(shown: Demonstration) -> None:
    command = shown.kubectl_command()
    try:
        listed = subprocess.run(  # noqa: S603
            command, check=True, capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        click.echo(shown.objects())
    else:
        click.echo(f"$ {' '.join(command)}\n{listed.stdout.rstrip()}")


def _stay(shown: Demonstration) -> None:
    click.echo(f"\n{shown.summary()}")
    click.secho("\nTry, in another terminal:", bold=True)
    click.echo(shown.tour())
    click.secho("\nCtrl-C ends the demonstration.", bold=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        return
