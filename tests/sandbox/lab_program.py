"""A small stand-in for jupyterhub-singleuser: what it is asked over HTTP, it does."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

DEAF = threading.Event()


def asked_for_environment(_: dict[str, str]) -> Any:
    return dict(os.environ)


def asked_for_arguments(_: dict[str, str]) -> Any:
    return [*sys.argv[1:], str(Path.cwd())]


def asked_for_file(query: dict[str, str]) -> Any:
    path = Path(f"{os.environ['SANDBOX_ROOT']}{query['path']}")
    if path.is_dir():
        return sorted(entry.name for entry in path.iterdir())
    mode = path.stat().st_mode & 0o777
    return {"text": path.read_text(), "mode": oct(mode)}


def asked_to_write(query: dict[str, str]) -> Any:
    Path(os.environ["HOME"], query["name"]).write_text(query["text"])


def asked_to_print(query: dict[str, str]) -> Any:
    stream = sys.stderr if "stderr" in query else sys.stdout
    text = query.get("text", "line") * int(query.get("times", "1"))
    print(text, file=stream, end=query.get("end", "\n"), flush=True)


def asked_to_start_another(_: dict[str, str]) -> Any:
    """Start a process as Jupyter starts kernels: in a session of its own."""
    command = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    return subprocess.Popen(command, start_new_session=True).pid


def asked_to_be_deaf(_: dict[str, str]) -> Any:
    DEAF.set()


def asked_to_exit(query: dict[str, str]) -> Any:
    print("exiting", flush=True)
    os._exit(int(query["code"]))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        answer = globals()[f"asked_{url.path.strip('/')}"](dict(parse_qsl(url.query)))
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


def say_goodbye(*_: object) -> None:
    if DEAF.is_set():
        return
    print("goodbye", flush=True)
    os._exit(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ip")
    parser.add_argument("--port", type=int)
    parser.add_argument("--allow-root", action="store_true")
    options = parser.parse_args()
    server = ThreadingHTTPServer((options.ip, options.port), Handler)
    signal.signal(signal.SIGTERM, say_goodbye)
    print(f"listening on {options.ip}", flush=True)
    server.daemon_threads = True
    server.serve_forever(poll_interval=0.05)
