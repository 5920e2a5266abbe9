"""The ``nublado`` command; one module per subcommand.

Subcommands are imported when they are called: checking a configuration needs
neither a Kubernetes client nor the sandbox.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from nublado import __version__

__all__ = ["main"]

COMMANDS = {
    "announce": "Tell the users of a running service something.",
    "check-config": "Check configuration files, and report all of their problems.",
    "completion": "Print a script for shell completion.",
    "delete": "Delete a lab or file server of a running service.",
    "demo": "Spawn a lab on an embedded cluster, and show how it comes up.",
    "drain": "Let a running service start no labs.",
    "form-policy": "Print what a hub's policy has to allow for the spawner form.",
    "history": "Show what a running service did for a user.",
    "hub": "Run the whole platform: a real JupyterHub, real JupyterLabs.",
    "images": "Show what the source of images has, and what comes of it.",
    "labs": "List the labs of a running service.",
    "log-level": "Show or change how much a running service logs.",
    "migrate-config": "Print a configuration for 8.2 as one for 15.1.",
    "openapi": "Print the description of the API.",
    "prepull": "Have nodes pull now what they lack.",
    "refresh": "Have a running service list images and nodes again.",
    "render": "Print the objects that a spawn would create.",
    "sandbox": "Run an embedded cluster and what else surrounds labs.",
    "status": "Show how a running service is.",
    "tags": "Show how the service understands tags.",
    "undrain": "Let a running service start labs again.",
    "version": "Print the version of Nublado.",
}
"""Subcommands and what they do.

The module of each is named after it, and has a click command of that name.
"""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        try:
            module = import_module(f"nublado.cli.{name}")
        except ModuleNotFoundError as e:
            if e.name and e.name.startswith("nublado"):
                raise
            ctx.fail(
                f"{cmd_name} needs the Python module {e.name}, which is not installed;"
                " those of the sandbox and the demo come with nublado[sandbox]"
            )
        command: click.Command = getattr(module, name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; suggests the closest to one that does not exist."""
        name = args[0]
        close = get_close_matches(name, COMMANDS, n=1)
        if close and name not in COMMANDS and not ctx.resilient_parsing:
            ctx.fail(f"No such command {name!r}. Did you mean {close[0]!r}?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a file or disk that cannot be used is told in words."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except OSError as e:
            place = f"{e.filename}: " if e.filename else ""
            raise click.ClickException(f"{place}{e.strerror or e}") from e

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the commands without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
    Examples:
      nublado check-config /etc/nublado/config.yaml
      nublado render --config config.yaml --user user.json --spec spec.json
      nublado sandbox
      nublado demo --exit
    """,
)
@click.version_option(__version__, "-V", "--version", prog_name="nublado")
def main() -> None:
    """Spawn and manage JupyterLab pods for the users of a science platform."""
