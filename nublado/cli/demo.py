"""``nublado demo``: spawn a lab, and watch it start."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import requests

from nublado.exceptions import ConfigurationError
from nublado.sandbox.demonstration import Demonstration, DemonstrationError
from nublado.sandbox.stack import Stack

__all__ = ["demo"]

_CONFIG = Path(__file__).parent.parent.parent / "conf" / "demo.yaml"


@click.command()
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=_CONFIG,
    help="Configuration of a deployment, used unchanged.",
)
@click.option("--user", default="rachel", show_default=True, help="Who wants a lab.")
@click.option(
    "--tags", default=60, show_default=True, help="How many images there are."
)
@click.option(
    "--exit", "then_exit", is_flag=True, help="Delete the lab and end, once it runs."
)
def demo(config_file: Path, user: str, tags: int, *, then_exit: bool) -> None:
    """Spawn a lab on an embedded cluster, and show how it comes up.

    Everything is the real thing but for the cluster: the service runs under
    gunicorn and is reached through an ingress.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.NamedTemporaryFile("w+", prefix="nublado-", suffix=".log") as log:
        try:
            stack = Stack(config_file, "--tags", str(tags), log=log)
            _run(stack, user, then_exit=then_exit)
        except (
            ConfigurationError,
            DemonstrationError,
            RuntimeError,
            requests.RequestException,
        ) as e:
            click.secho(f"\nThe demonstration has failed: {e}", fg="red", err=True)
            log.seek(0)
            click.echo("".join(log.readlines()[-30:]), err=True)
            sys.exit(1)


def _run(stack: Stack, user: str, *, then_exit: bool) -> None:
    click.secho("Starting cluster, registry, Gafaelfawr, ingress, service …", bold=True)
    began = time.monotonic()
    with stack:
        click.echo(f"Ready after {time.monotonic() - began:.1f} s.\n")
        shown = Demonstration(stack, user)
        click.secho(f"Spawning a lab for {user}", bold=True)
        shown.spawn(_progress_printer())
        click.secho("\nState of the lab", bold=True)
        click.echo(shown.state())
        click.secho("\nIts objects", bold=True)
        _show_objects(shown)
        if not then_exit:
            _stay(shown)
        click.secho("\nDeleting the lab", bold=True)
        seconds = shown.delete()
        click.echo(f"Gone after {seconds:.1f} s.")


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
    click.secho("\nTo try by hand", bold=True)
    click.echo(shown.hints())
    click.echo("\nCtrl-C ends the demonstration.")
    try:
        signal.pause()
    except KeyboardInterrupt:
        click.echo()
