"""File servers: real WebDAV servers, as long as their pods run."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cheroot import wsgi
from wsgidav.wsgidav_app import WsgiDAVApp

from nublado.models.domain.kubernetes import JSON
from nublado.sandbox.kubernetes.controllers.kubelet import Kubelet
from nublado.sandbox.kubernetes.store import ApiError, Store

__all__ = ["FileServers"]

_BASE = "WORBLEHAT_BASE_HREF"
_TIMEOUT = "WORBLEHAT_TIMEOUT"
_LOOK_SECONDS = 0.25
_WELCOME = "These are the files of {user}.\n"


@dataclass(slots=True)
class _FileServer:
    """The server of one pod."""

    namespace: str
    name: str
    base: str
    idle_seconds: float
    server: wsgi.Server
    used: float = field(default_factory=time.monotonic)

    @property
    def url(self) -> str:
        host, port = self.server.bind_addr
        return f"http://{host}:{port}"


class FileServers:
    """Serves the files of users whose file server's pod runs.

    The files live as long as the sandbox, so they outlive a file server.

    Parameters
    ----------
    store
        Objects of the cluster.
    kubelet
        Ends pods.
    directory
        Where to make the directory of all files; that of temporary files by
        default.
    """

    def __init__(
        self, store: Store, kubelet: Kubelet, directory: Path | None = None
    ) -> None:
        self._store = store
        self._kubelet = kubelet
        self._servers: dict[str, _FileServer] = {}
        self._files = tempfile.TemporaryDirectory(
            prefix="sandbox-files-", dir=directory
        )
        self._unsubscribe: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow pods."""
        self._unsubscribe = self._store.subscribe("Pod", self._changed)
        self._task = asyncio.create_task(self._end_idle())

    async def stop(self) -> None:
        """Stop all servers and remove the files."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._task is not None:
            self._task.cancel()
        for uid in list(self._servers):
            self._stop(uid)
        self._files.cleanup()

    def find(self, path: str) -> str | None:
        """URL of the server that answers for a path; None if none does."""
        for server in self._servers.values():
            if path == server.base or path.startswith(f"{server.base}/"):
                server.used = time.monotonic()
                return server.url
        return None

    def _changed(self, type_: str, pod: JSON) -> None:
        uid = pod["metadata"]["uid"]
        environment = {
            variable["name"]: variable.get("value", "")
            for variable in pod["spec"]["containers"][0].get("env") or ()
        }
        if _BASE not in environment:
            return
        is_running = type_ != "DELETED" and pod["status"]["phase"] == "Running"
        if not is_running:
            self._stop(uid)
        elif uid not in self._servers:
            base = environment[_BASE]
            self._servers[uid] = _FileServer(
                pod["metadata"]["namespace"],
                pod["metadata"]["name"],
                base,
                float(environment.get(_TIMEOUT) or "inf"),
                self._serve(base),
            )

    def _serve(self, base: str) -> wsgi.Server:
        user = base.rpartition("/")[2]
        directory = Path(self._files.name) / user
        if not directory.exists():
            home = directory / "home" / user
            home.mkdir(parents=True)
            (home / "welcome.txt").write_text(_WELCOME.format(user=user))
        app = WsgiDAVApp(
            {
                "provider_mapping": {"/": str(directory)},
                "mount_path": base,
                # Who asks has been checked by the ingress.
                "simple_dc": {"user_mapping": {"*": True}},
                "logging": {"enable": False},
                "verbose": 0,
            }
        )
        server = wsgi.Server(("127.0.0.1", 0), _mounted(app, base), numthreads=2)
        server.prepare()
        threading.Thread(
            target=server.serve, name=f"webdav-{user}", daemon=True
        ).start()
        return server

    def _stop(self, uid: str) -> None:
        server = self._servers.pop(uid, None)
        if server is not None:
            threading.Thread(target=server.server.stop, daemon=True).start()

    async def _end_idle(self) -> None:
        """End the pods of servers that nobody uses."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for server in list(self._servers.values()):
                if time.monotonic() - server.used < server.idle_seconds:
                    continue
                try:
                    self._kubelet.finish(server.namespace, server.name, 0, None)
                except ApiError:
                    continue


def _mounted(app: WsgiDAVApp, base: str) -> Callable[..., Iterable[bytes]]:
    """Serve an application below a path."""

    def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        environ["SCRIPT_NAME"] = base
        environ["PATH_INFO"] = path.removeprefix(base) or "/"
        answer: Iterable[bytes] = app(environ, start_response)
        return answer

    return serve
