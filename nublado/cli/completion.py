"""``nublado completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]


@click.command(
    epilog="""\b
    Examples:
      eval "$(nublado completion bash)"
      nublado completion fish > ~/.config/fish/completions/nublado.fish
    """
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script that lets a shell complete commands and options."""
    cls = get_completion_class(shell)
    assert cls is not None  # noqa: S101
    root = ctx.find_root().command
    click.echo(cls(root, {}, "nublado", "_NUBLADO_COMPLETE").source())
