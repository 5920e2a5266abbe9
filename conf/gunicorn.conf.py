"""How gunicorn runs the service.

One process holds the state of all labs, so there is one worker, with threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nublado.config import load
from nublado.config.environment import Environment
from nublado.exceptions import ConfigurationError, InvalidEnvironmentError

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter

try:
    _environment = Environment.read()
except InvalidEnvironmentError as e:
    raise SystemExit(str(e)) from e

bind = _environment.bind
wsgi_app = "wsgi:app"
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
        load(_environment.config_path)
    except ConfigurationError as e:
        raise SystemExit(str(e)) from e
