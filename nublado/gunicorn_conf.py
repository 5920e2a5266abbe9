"""How gunicorn runs the service.

One process holds the state of all labs, so there is one worker, with threads.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nublado.context import Environment
from nublado.exceptions import ConfigurationError
from nublado.main import load_configuration

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter

try:
    _environment = Environment.read()
except ValueError as e:
    raise SystemExit(str(e)) from e

bind = os.environ.get("NUBLADO_BIND", "0.0.0.0:8080")
wsgi_app = "nublado.wsgi:app"
workers = 1
worker_class = "nublado.worker.Worker"
threads = _environment.threads
# Kept connections need no thread, but connections in work do.
worker_connections = threads + 1000
backlog = 2048
keepalive = 75
timeout = 60
graceful_timeout = 20
control_socket_disable = True
accesslog = None


def on_starting(server: Arbiter) -> None:
    """Refuse to start, before any port is bound, where nothing good can come of it."""
    if server.cfg.workers != 1:
        message = "Only one worker process can hold the state of labs: set workers to 1"
        raise SystemExit(message)
    try:
        load_configuration()
    except ConfigurationError as e:
        raise SystemExit(str(e)) from e
