"""How gunicorn runs the service.

One process holds the state of all labs, so there is one worker, with threads.
"""

from __future__ import annotations

import gc
import signal
from functools import partial
from typing import TYPE_CHECKING

from nublado.config import load_for
from nublado.config.environment import Environment
from nublado.descriptors import most_connections, raise_descriptor_limit
from nublado.exceptions import ConfigurationError, InvalidEnvironmentError

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

# What is imported stays: there is no garbage to be looked for in it, now or later.
gc.disable()

try:
    _environment = Environment.read()
except InvalidEnvironmentError as e:
    raise SystemExit(str(e)) from e

bind = _environment.bind
wsgi_app = "nublado.wsgi:app"
workers = 1
worker_class = "nublado.worker.Worker"
threads = _environment.threads
# Those that are kept or slow need no thread; beyond this the oldest of them go.
worker_connections = threads + most_connections(raise_descriptor_limit())
backlog = 2048
keepalive = 75
timeout = 60
graceful_timeout = 20
# A thread would wait for whoever does not read.
sendfile = False
control_socket_disable = True
accesslog = None


# Most of what a surge makes stays for long: to look through all of it again and again
# for garbage, as by default, finds next to none, and doubles the longest waits.
_COLLECT = (2_000, 10, 10)

# Signals upon which gunicorn would run two workers, be it for a moment, or none.
_TWO_WORKERS = ("hup", "ttin", "ttou", "winch")


def _ignore(server: Arbiter, name: str) -> None:
    server.log.warning("Ignoring SIG%s: there must be just one worker", name.upper())


def _pass_on(server: Arbiter) -> None:
    """Let the worker change its log level."""
    server.kill_workers(signal.SIGUSR2)


def on_starting(server: Arbiter) -> None:
    """Refuse to start, before any port is bound, where nothing good can come of it."""
    if server.cfg.workers != 1:
        message = "Only one worker process can hold the state of labs: set workers to 1"
        raise SystemExit(message)
    for name in _TWO_WORKERS:
        setattr(server, f"handle_{name}", partial(_ignore, server, name))
    server.handle_usr2 = partial(_pass_on, server)
    try:
        load_for(_environment)
    except (ConfigurationError, InvalidEnvironmentError) as e:
        raise SystemExit(str(e)) from e


def when_ready(_: Arbiter) -> None:
    """Begin to collect garbage, in what comes from now on."""
    gc.freeze()
    gc.set_threshold(*_COLLECT)
    gc.enable()


def post_worker_init(_: Worker) -> None:
    """Leave the application out of all garbage collections."""
    gc.freeze()
