"""The WSGI application."""

from __future__ import annotations

import structlog
from flask import Flask

from nublado.config import load_for
from nublado.config.environment import Environment
from nublado.config.model import Config
from nublado.config.notes import notes, notes_on_environment
from nublado.constants import FILES_PREFIX, MAX_BODY_BYTES
from nublado.context import ProcessContext
from nublado.handlers.admin import admin
from nublado.handlers.desk import desk
from nublado.handlers.docs import docs
from nublado.handlers.errors import register_error_handlers
from nublado.handlers.event_answers import EventAnswers
from nublado.handlers.fileservers import files, fileservers
from nublado.handlers.form import form
from nublado.handlers.form_tokens import FormTokens
from nublado.handlers.fsadmin import fsadmin
from nublado.handlers.images import images
from nublado.handlers.index import index, probes
from nublado.handlers.labs import labs
from nublado.handlers.operate import operate
from nublado.handlers.page import prepare_templates
from nublado.handlers.progress import progress
from nublado.handlers.requests import TrustedProxies, register_request_hooks
from nublado.handlers.runbook import runbook
from nublado.handlers.state_answers import StateAnswers
from nublado.handlers.status_feed import StatusFeed
from nublado.logging import configure_logging, log_uncaught_exceptions
from nublado.pages.brief import shorten_digests

__all__ = ["create_app", "register_routes"]


def create_app(context: ProcessContext | None = None) -> Flask:
    """Create the application and begin to start the service behind it.

    Parameters
    ----------
    context
        Long-lived objects; created from the environment by default.

    Raises
    ------
    ConfigurationError, InvalidEnvironmentError
        Raised with everything that is wrong with them.
    """
    if context is None:
        context = _create_context()
    app = Flask("nublado", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.extensions["nublado"] = context
    app.extensions["nublado.form-tokens"] = FormTokens()
    app.extensions["nublado.status-feed"] = StatusFeed(app, context)
    prepare_templates(app)
    app.jinja_env.filters["brief"] = shorten_digests
    register_request_hooks(app)
    register_error_handlers(app)
    fileserver = context.config.fileserver
    register_routes(
        app,
        context.config.path_prefix,
        fileserver.path_prefix if fileserver else FILES_PREFIX,
    )
    all_labs = f"{context.config.path_prefix}{labs.url_prefix}/labs/"
    quick = EventAnswers(app.wsgi_app, context, all_labs)
    proxied = TrustedProxies(quick, context.environment.trusted_proxies)
    app.wsgi_app = StateAnswers(  # type: ignore[method-assign]
        app, proxied, context, all_labs
    )
    context.start()
    return app


def register_routes(app: Flask, prefix: str, files_prefix: str) -> None:
    """Give an application all routes.

    Parameters
    ----------
    app
        The application.
    prefix
        Prefix of all paths but those of probes.
    files_prefix
        Prefix of the page of file servers.
    """
    app.register_blueprint(probes)
    app.register_blueprint(index, url_prefix=prefix)
    for routes in (
        labs,
        progress,
        images,
        form,
        fileservers,
        admin,
        fsadmin,
        desk,
        operate,
        runbook,
        docs,
    ):
        below = routes.url_prefix or ""
        app.register_blueprint(routes, url_prefix=f"{prefix}{below}")
    app.register_blueprint(files, url_prefix=files_prefix)


def _create_context() -> ProcessContext:
    environment = Environment.read()
    config = load_for(environment)
    configure_logging(config.profile, config.log_level, background=True)
    log_uncaught_exceptions()
    _log_reading(config, environment)
    return ProcessContext(config, environment)


def _log_reading(config: Config, environment: Environment) -> None:
    """Log how the configuration is read, and what of it is not done."""
    log = structlog.get_logger(__name__)
    log.info(
        "Read configuration",
        style=config.style.value,
        standard_containers=config.lab.standard_containers,
    )
    for note in [*notes(config), *notes_on_environment(config, environment)]:
        log.warning("Configured without effect or by default", note=note)
