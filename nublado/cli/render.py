"""``nublado render``."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from nublado.cli.images import read_images
from nublado.cli.output import (
    EXISTING_FILE,
    JSON_FLAG,
    fail,
    load_config,
    read_environment,
    read_json,
    reporting,
)
from nublado.config.environment import Environment
from nublado.config.model import Config, LabConfig
from nublado.config.notes import notes_on_environment
from nublado.exceptions import InvalidDockerReferenceError
from nublado.models.domain.docker import DockerReference
from nublado.models.domain.gafaelfawr import GafaelfawrUser, UserInfo, parse_user_info
from nublado.models.domain.image import ImageSelection, ResolvedImage
from nublado.models.domain.kubernetes import JSON
from nublado.models.domain.rsptag import RSPImageTag
from nublado.models.v1.lab import parse_lab_specification
from nublado.services.builder.fileserver import FileserverBuilder
from nublado.services.builder.lab import LabBuilder

__all__ = ["render"]

_TOKEN = "token-of-the-user"  # noqa: S105
_UNKNOWN = "not-given"
_PULL_SECRET_KEY = ".dockerconfigjson"  # noqa: S105

Secrets = dict[str, dict[str, str]]


@click.command(
    epilog="""\b
    Examples:
      nublado render --config config.yaml --user rachel.json --spec spec.json \\
          --image registry.example.org/sciplat/lab:w_2026_45@sha256:… \\
          | kubectl diff -f -
      nublado render --config config.yaml --user rachel.json --kind fileserver
    """
)
@click.option(
    "--config",
    "config_file",
    type=EXISTING_FILE,
    required=True,
    help="Configuration of a deployment.",
)
@click.option(
    "--user",
    "user_file",
    type=EXISTING_FILE,
    required=True,
    help="JSON that Gafaelfawr returns for the user.",
)
@click.option(
    "--spec",
    "spec_file",
    type=EXISTING_FILE,
    help="JSON body of the request for a lab; needed for one.",
)
@click.option(
    "--image",
    metavar="REGISTRY/REPO:TAG@DIGEST",
    help="Image of the lab; by default the source of images resolves it.",
)
@click.option(
    "--secrets",
    "secrets_file",
    type=EXISTING_FILE,
    help="JSON with the secrets that labs get: name, key, value.",
)
@click.option(
    "--with-secrets",
    is_flag=True,
    help="Print secrets also without --secrets, with placeholders in them.",
)
@click.option(
    "--kind",
    type=click.Choice(["lab", "fileserver"]),
    default="lab",
    show_default=True,
    help="What to render.",
)
@JSON_FLAG
def render(
    config_file: Path,
    user_file: Path,
    spec_file: Path | None,
    image: str | None,
    secrets_file: Path | None,
    kind: str,
    *,
    with_secrets: bool,
    as_json: bool,
) -> None:
    """Print the objects that a spawn would create, first to last.

    No cluster is used, and with --image no registry either. Secrets are left
    out unless --secrets or --with-secrets is given: those of a running lab
    cannot be changed, so that kubectl diff would fail. The token of the user is
    always a placeholder.
    """
    config = load_config(config_file)
    with reporting(str(user_file)):
        user = parse_user_info(read_json(user_file))
    environment = read_environment()
    for note in notes_on_environment(config, environment):
        click.secho(f"Note: {note}", fg="yellow", err=True)
    if kind == "fileserver":
        objects = _fileserver(config, environment, user)
    elif spec_file is None:
        raise click.UsageError("A lab needs --spec.")
    else:
        with reporting(str(spec_file)):
            spec = parse_lab_specification(read_json(spec_file))
        builder = LabBuilder(config.lab, environment.platform)
        with reporting(f"{user_file}, {spec_file}"):
            builder.check_quota(user, spec.size)
        resolved = _resolve(image, spec.image, config_file)
        with_secrets = with_secrets or secrets_file is not None
        secrets = _secrets(config.lab, secrets_file, warn=with_secrets)
        objects = builder.build(
            GafaelfawrUser(user, _TOKEN),
            spec,
            resolved,
            secrets,
            _pull_secret(config.lab, secrets),
        ).in_creation_order()
        objects = [o for o in objects if with_secrets or o["kind"] != "Secret"]
    if as_json:
        click.echo(json.dumps(objects, indent=2))
    else:
        click.echo(yaml.safe_dump_all(objects, sort_keys=False), nl=False)


def _fileserver(config: Config, environment: Environment, user: UserInfo) -> list[JSON]:
    if config.fileserver is None:
        fail("the configuration has no fileserver, so that there are none")
    builder = FileserverBuilder(
        config.fileserver, config.lab.volumes, environment.platform
    )
    return list(builder.build(user))


def _resolve(
    image: str | None, selection: ImageSelection, config_file: Path
) -> ResolvedImage:
    """Take the image as given, or find what the selection means."""
    if image is None:
        images = read_images(config_file)
        with reporting(str(config_file)):
            return images.resolve(selection)
    try:
        reference = DockerReference.parse(image)
    except InvalidDockerReferenceError as e:
        raise click.UsageError(f"--image: {e}") from e
    if reference.tag is None or reference.digest is None:
        raise click.UsageError("--image needs both a tag and a digest.")
    return ResolvedImage(
        reference=reference.without_digest,
        digest=reference.digest,
        tag=reference.tag,
        display_name=RSPImageTag.parse(reference.tag).display_name,
    )


def _secrets(config: LabConfig, file: Path | None, *, warn: bool) -> Secrets:
    """Collect the data of all secrets that are needed, encoded as in Kubernetes."""
    wanted = [(s.secret_name, s.secret_key) for s in config.secrets]
    if config.pull_secret is not None:
        wanted.append((config.pull_secret, _PULL_SECRET_KEY))
    given = _read_secrets(file) if file else {}
    found: Secrets = {}
    for name, key in wanted:
        value = given.get(name, {}).get(key)
        if value is None and file is not None:
            fail(f"{file}: no key {key} in secret {name}")
        if value is None:
            value = "{}" if key == _PULL_SECRET_KEY else _UNKNOWN
            if warn:
                message = f"Note: key {key} of secret {name} is a placeholder"
                click.secho(message, fg="yellow", err=True)
        found.setdefault(name, {})[key] = base64.b64encode(value.encode()).decode()
    return found


def _read_secrets(file: Path) -> Mapping[str, Mapping[str, str]]:
    data: Any = read_json(file)
    is_valid = isinstance(data, dict) and all(
        isinstance(values, dict) and all(isinstance(v, str) for v in values.values())
        for values in data.values()
    )
    if not is_valid:
        fail(f"{file}: must be an object of secrets, each an object of strings")
    secrets: Mapping[str, Mapping[str, str]] = data
    return secrets


def _pull_secret(config: LabConfig, secrets: Secrets) -> JSON | None:
    if config.pull_secret is None:
        return None
    key = _PULL_SECRET_KEY
    return {
        "metadata": {"name": config.pull_secret},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {key: secrets[config.pull_secret][key]},
    }
