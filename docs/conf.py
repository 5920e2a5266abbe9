"""How Sphinx makes a site of these pages."""

from __future__ import annotations

import json
from pathlib import Path

import click
from flask import Flask
from sphinx.application import Sphinx

from nublado import __version__
from nublado.constants import FILES_PREFIX, PATH_PREFIX
from nublado.handlers.openapi import openapi_document
from nublado.main import register_routes

project = "Nublado"
copyright = "the Nublado developers"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinxcontrib.openapi",
]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = "Nublado"
copybutton_prompt_text = "$ "

_GENERATED = Path(__file__).parent / "_build" / "openapi.json"


def _write_api() -> None:
    """Describe the API as the service itself does, with the usual prefixes."""
    app = Flask("nublado", static_folder=None)
    register_routes(app, PATH_PREFIX, FILES_PREFIX)
    _GENERATED.parent.mkdir(exist_ok=True)
    _GENERATED.write_text(json.dumps(openapi_document(app)))


def _show_examples(_: Sphinx, __: click.Context, lines: list[str]) -> None:
    """Examples after the options are commands to copy, not prose."""
    examples = [line.removeprefix("| ").strip() for line in lines]
    commands = [line for line in examples if line.startswith("nublado ")]
    if commands:
        lines[:] = [".. code-block:: sh", "", *(f"   {text}" for text in commands), ""]


def setup(app: Sphinx) -> None:
    """Extend Sphinx; it calls this by name."""
    _write_api()
    app.connect("sphinx-click-process-epilog", _show_examples)
