"""``nublado status``."""

from __future__ import annotations

import json

import click

from nublado.cli.output import JSON_FLAG
from nublado.cli.service import RunningService, service_options
from nublado.cli.table import age, print_table
from nublado.models.domain.kubernetes import JSON

__all__ = ["status"]


@click.command(
    epilog="""\b
    Examples:
      nublado status --url https://data.example.org/nublado
      nublado status --port-forward nublado/nublado --json | jq .counts
    """
)
@service_options
@JSON_FLAG
def status(service: RunningService, *, as_json: bool) -> None:
    """Show how a running service is; exits with 1 if something is wrong."""
    shown = {**service.get("status"), "notices": service.get("notices")}
    if as_json:
        click.echo(json.dumps(shown, indent=2))
    else:
        _print(shown)
    if shown["service"]["problems"]:
        raise click.exceptions.Exit(1)


def _print(shown: JSON) -> None:
    process = shown["service"]
    click.secho(f"{process['name']} {process['version']}", bold=True, nl=False)
    click.echo(f", up for {age(process['started'])}")
    for problem in process["problems"]:
        click.secho(_problem_text(problem), fg="red")
    if not process["problems"]:
        click.secho("All is well.", fg="green")
    _print_configuration(process["configuration"])
    for title, notice in (
        ("No labs can be started", shown["notices"]["drain"]),
        ("Announced", shown["notices"]["announcement"]),
    ):
        if notice is not None:
            until = f" until {notice['until']}" if notice["until"] else ""
            click.secho(f"{title}{until}: {notice['message']}", fg="yellow")
            click.echo(f"  by {notice['by']}, {age(notice['since'])} ago")
    counts = ", ".join(f"{count} {state}" for state, count in shown["counts"].items())
    click.echo(f"Labs: {counts}")
    if shown["operations"]:
        click.echo()
        print_table(
            ("USER", "OPERATION", "FOR", "LAST EVENT"),
            (_operation(operation) for operation in shown["operations"]),
        )
    if shown["failures"]:
        click.echo()
        print_table(
            ("AGO", "USER", "FAILURE", "WHY"),
            (_failure(failure) for failure in shown["failures"][:10]),
        )


def _print_configuration(file: JSON) -> None:
    if file["has_changed"] and not file["problems"]:
        found = age(file["since"])
        text = f"Configuration changed {found} ago; a restart applies it."
        click.secho(text, fg="yellow")


def _problem_text(problem: str | JSON) -> str:
    if isinstance(problem, str):
        return problem
    return f"{problem['title']} since {age(problem['since'])}: {problem['cause']}"


def _operation(line: JSON) -> tuple[str, ...]:
    event = line["last_event"] or {"message": ""}
    return line["username"], line["kind"], age(line["started"]), event["message"]


def _failure(line: JSON) -> tuple[str, ...]:
    return age(line["timestamp"]), line["user"] or "-", line["event"], line["message"]
