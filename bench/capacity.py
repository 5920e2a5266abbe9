"""What the service can bear: latencies, processor time, memory, by number of users.

Run with ``make bench``, or ``python bench/capacity.py --users 100 300``. For each
number of users there are a cluster and a service of their own; all users want a
lab at the same moment, follow its events, and the state is asked for meanwhile.
Service, embedded cluster and this program are processes, whose shares of the
processor are shown apart.
"""

from __future__ import annotations

import argparse
import asyncio
import compileall
import json
import math
import os
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import requests

import nublado
from nublado.descriptors import raise_descriptor_limit
from nublado.sandbox import DEMO_CONFIG
from nublado.sandbox.stack import Stack

_FAST = {
    "pull_seconds": 0.05,
    "service_account_delay": 0.0,
    "init_seconds": 0.01,
    "start_delay": 0.01,
}
_USERS_PER_NODE = 20
_FEWEST_NODES = 20
_SECONDS = 600.0
_LIST_PAUSE_SECONDS = 0.05
_SETTLE_SECONDS = 2.0
_QUERIES = 4000
_QUERYING = 4
_INDEX_QUERIES = 1000
_STREAMS_PER_USER = 16
_RECEIVE_BYTES = 65536
_TICKS = os.sysconf("SC_CLK_TCK")

Figures = dict[str, float]
"""Figures of one run, by the name of their row."""


# --- Processes ---------------------------------------------------------------


def _worker_of(stack: Stack) -> int:
    """Process id of gunicorn's worker, which is the service."""
    master = stack.service.pid
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return int(children[0])


def _cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, in user and system mode."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS


def _mebibytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (resident,) = (line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return int(resident) / 1024


def _percentile(values: list[float], share: float) -> float:
    """The value below which a share of them is; not a number if there are none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _wish(user: str) -> dict[str, dict[str, str]]:
    """The lab that a user asks for."""
    return {
        "options": {"image_class": "recommended", "size": "small"},
        "env": {"JUPYTERHUB_SERVICE_PREFIX": f"/nb/user/{user}/"},
    }


# --- Everybody wants a lab ---------------------------------------------------


@dataclass
class _Storm:
    """What happened while everybody wanted a lab (seconds).

    ``spent`` is what the service had used of the processor when it answered each
    create: where other processes want the processor too, it tells more than time.
    """

    creates: list[float] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)
    lists: list[float] = field(default_factory=list)
    running: dict[str, float] = field(default_factory=dict)
    complete: dict[str, float] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def delays(self) -> list[float]:
        """From when a pod runs until its user is told."""
        return [
            self.complete[user] - self.running[user]
            for user in self.complete.keys() & self.running.keys()
        ]


class _Crowd:
    """All users, each with a connection of their own, as of browsers."""

    def __init__(
        self, stack: Stack, session: aiohttp.ClientSession, users: list[str]
    ) -> None:
        self._labs = f"{stack.api_url}/spawner/v1/labs"
        self._pods = f"{stack.endpoints.kubernetes}/api/v1/pods"
        self._session = session
        self._users = users
        self._service = _worker_of(stack)
        self._used_before = _cpu_seconds(self._service)
        self.storm = _Storm()

    async def spawn(self) -> None:
        """Create all labs at once, and follow each to its end."""
        watching = asyncio.create_task(self._watch())
        listing = asyncio.create_task(self._list())
        await asyncio.sleep(_SETTLE_SECONDS / 4)
        await asyncio.gather(*map(self._spawn, self._users))
        for task in (listing, watching):
            task.cancel()

    async def delete(self) -> None:
        """Delete all labs at once."""
        await asyncio.gather(*map(self._delete, self._users))

    async def _spawn(self, user: str) -> None:
        headers = {"X-Auth-Request-User": user, "X-Auth-Request-Token": f"gt-{user}"}
        began = time.monotonic()
        try:
            url = f"{self._labs}/{user}/create"
            async with self._session.post(
                url, json=_wish(user), headers=headers
            ) as answer:
                self._note_status("create", answer.status, 201)
            self.storm.creates.append(time.monotonic() - began)
            used = _cpu_seconds(self._service) - self._used_before
            self.storm.spent.append(used)
            await self._follow(user, headers)
        except (aiohttp.ClientError, OSError) as e:
            self.storm.failures[f"create or events: {type(e).__name__}"] += 1

    async def _follow(self, user: str, headers: dict[str, str]) -> None:
        last = b""
        url = f"{self._labs}/{user}/events"
        async with self._session.get(url, headers=headers) as events:
            self._note_status("events", events.status, 200)
            async for line in events.content:
                if line.startswith(b"event: "):
                    last = line
                    if line == b"event: complete\n":
                        self.storm.complete[user] = time.monotonic()
        if last != b"event: complete\n":
            self.storm.failures[f"ended with {last.decode().strip()}"] += 1

    async def _delete(self, user: str) -> None:
        async with self._session.delete(f"{self._labs}/{user}") as answer:
            self._note_status("delete", answer.status, 204)

    async def _list(self) -> None:
        """Ask who has a lab, over and over."""
        while True:
            began = time.monotonic()
            async with self._session.get(self._labs) as answer:
                self._note_status("list", answer.status, 200)
                await answer.read()
            self.storm.lists.append(time.monotonic() - began)
            await asyncio.sleep(_LIST_PAUSE_SECONDS)

    async def _watch(self) -> None:
        """Note when the pod of each lab runs, as the API server says it."""
        selector = {"watch": "true", "labelSelector": "nublado.lsst.io/category=lab"}
        async with self._session.get(self._pods, params=selector) as changes:
            async for line in changes.content:
                if b'"phase":"Running"' in line.replace(b": ", b":"):
                    labels = json.loads(line)["object"]["metadata"]["labels"]
                    user = labels["nublado.lsst.io/user"]
                    self.storm.running.setdefault(user, time.monotonic())

    def _note_status(self, what: str, status: int, wanted: int) -> None:
        if status != wanted:
            self.storm.failures[f"{what}: {status}"] += 1


async def _run(stack: Stack, users: list[str], *, spawn: bool) -> _Storm:
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        timeout=timeout, connector=connector, read_bufsize=2**22
    ) as session:
        crowd = _Crowd(stack, session, users)
        await (crowd.spawn() if spawn else crowd.delete())
        return crowd.storm


def _measure_storm(stack: Stack, users: list[str]) -> Figures:
    service, sandbox = _worker_of(stack), stack.sandbox.pid
    processes = {"service": service, "sandbox": sandbox, "bench": os.getpid()}
    before = {name: _cpu_seconds(pid) for name, pid in processes.items()}
    began = time.monotonic()
    stack.control("POST", "/stats/reset")
    storm = asyncio.run(_run(stack, users, spawn=True))
    seconds = time.monotonic() - began
    time.sleep(_SETTLE_SECONDS)
    used = {name: _cpu_seconds(pid) - before[name] for name, pid in processes.items()}
    counts = stack.control.stats()["requests"]
    asked = sum(c["count"] for c in counts if c["target"] == "kubernetes")
    for failure, number in storm.failures.items():
        print(f"  failed: {failure} ({number} times)")
    return {
        "failed requests and spawns": storm.failures.total(),
        "all labs run after (s)": seconds - _SETTLE_SECONDS / 4,
        "create answered, p50 (s)": _percentile(storm.creates, 0.5),
        "create answered, p99 (s)": _percentile(storm.creates, 0.99),
        "create answered, p99 (s of CPU)": _percentile(storm.spent, 0.99),
        "pod runs → told, p50 (s)": _percentile(storm.delays, 0.5),
        "pod runs → told, p99 (s)": _percentile(storm.delays, 0.99),
        "GET labs meanwhile, p99 (s)": _percentile(storm.lists, 0.99),
        "CPU per spawn: service (ms)": used["service"] * 1000 / len(users),
        "CPU per spawn: sandbox (ms)": used["sandbox"] * 1000 / len(users),
        "CPU per spawn: this program (ms)": used["bench"] * 1000 / len(users),
        "requests to Kubernetes per spawn": asked / len(users),
    }


# --- Questions ---------------------------------------------------------------


class _Asker:
    """Asks over one connection, spending as little as possible on it."""

    def __init__(self, stack: Stack) -> None:
        self._socket = socket.create_connection(("127.0.0.1", stack.service.port))

    def ask(self, path: str) -> float:
        """Ask, and return how long the answer took (seconds).

        Raises
        ------
        RuntimeError
            Raised if the answer is not 200.
        """
        began = time.monotonic()
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        received = self._socket.recv(_RECEIVE_BYTES)
        head, _, body = received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"GET {path}: {head[:100]!r}")
        length = int(head.lower().partition(b"\r\ncontent-length: ")[2].split()[0])
        missing = length - len(body)
        while missing > 0:
            missing -= len(self._socket.recv(_RECEIVE_BYTES))
        return time.monotonic() - began

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def _measure_queries(stack: Stack, users: list[str]) -> Figures:
    """Ask for the state of labs, as JupyterHub does."""
    labs = f"{stack.config.path_prefix}/spawner/v1/labs"
    service = _worker_of(stack)

    def ask(number: int) -> list[float]:
        asker = _Asker(stack)
        paths = (f"{labs}/{users[n % len(users)]}" for n in range(number))
        seconds = [asker.ask(path) for path in paths]
        asker.close()
        return seconds

    used, began = _cpu_seconds(service), time.monotonic()
    with ThreadPoolExecutor(_QUERYING) as pool:
        shares = pool.map(ask, [_QUERIES // _QUERYING] * _QUERYING)
        seconds = [second for share in shares for second in share]
    elapsed, used = time.monotonic() - began, _cpu_seconds(service) - used
    return {
        "status queries per second": _QUERIES / elapsed,
        "status queries per CPU second": _QUERIES / used,
        "status query, p99 (s)": _percentile(seconds, 0.99),
    }


def _measure_restart(stack: Stack, users: list[str]) -> Figures:
    """Kill the service, and start it again."""
    stack.service.kill()
    began = time.monotonic()
    stack.start_service()
    stack.service.wait_ready()
    seconds = time.monotonic() - began
    answer = requests.get(f"{stack.api_url}/spawner/v1/labs", timeout=_SECONDS)
    return {
        "restart until ready (s)": seconds,
        "restart: CPU until ready (s)": _cpu_seconds(_worker_of(stack)),
        "restart: labs not known": len(set(users) - set(answer.json())),
    }


# --- Streams -----------------------------------------------------------------


class _OpenStreams:
    """Streams that are held open and read, of one spawn per user that never ends."""

    def __init__(self, stack: Stack, number: int) -> None:
        self._stack = stack
        self._sockets: list[socket.socket] = []
        users = [f"user{n}" for n in range(math.ceil(number / _STREAMS_PER_USER))]
        labs = f"{stack.config.path_prefix}/spawner/v1/labs"
        with requests.Session() as session:
            for user in users:
                self._spawn(session, user)
        for n in range(number):
            user = users[n % len(users)]
            opened = socket.create_connection(("127.0.0.1", stack.service.port))
            opened.sendall(
                f"GET {labs}/{user}/events HTTP/1.1\r\nHost: bench\r\n"
                f"X-Auth-Request-User: {user}\r\n\r\n".encode()
            )
            self._sockets.append(opened)
        for opened in self._sockets:
            if b" 200 " not in opened.recv(_RECEIVE_BYTES)[:16]:
                raise RuntimeError("A stream was refused")

    def close(self) -> None:
        """Close all."""
        for opened in self._sockets:
            with suppress(OSError):
                opened.close()

    def _spawn(self, session: requests.Session, user: str) -> None:
        url = f"{self._stack.api_url}/spawner/v1/labs/{user}/create"
        headers = {"X-Auth-Request-User": user, "X-Auth-Request-Token": f"gt-{user}"}
        answer = session.post(url, json=_wish(user), headers=headers, timeout=_SECONDS)
        answer.raise_for_status()


def _measure_streams(number: int) -> Figures:
    """Hold many streams open, and ask for a page meanwhile."""
    settings = json.dumps({**_FAST, "start_delay": _SECONDS, "nodes": _FEWEST_NODES})
    with (
        tempfile.TemporaryFile("w+") as log,
        Stack(DEMO_CONFIG, "--settings", settings, log=log) as stack,
    ):
        before = _mebibytes(_worker_of(stack))
        streams = _OpenStreams(stack, number)
        time.sleep(_SETTLE_SECONDS)
        asker = _Asker(stack)
        index = stack.config.path_prefix or "/"
        used = _cpu_seconds(_worker_of(stack))
        seconds = [asker.ask(index) for _ in range(_INDEX_QUERIES)]
        used = _cpu_seconds(_worker_of(stack)) - used
        figures = {
            "streams": number,
            "GET /, p50 (ms)": _percentile(seconds, 0.5) * 1000,
            "GET /, p99 (ms)": _percentile(seconds, 0.99) * 1000,
            "CPU per GET / (ms)": used * 1000 / _INDEX_QUERIES,
            "RSS before (MiB)": before,
            "RSS with streams (MiB)": _mebibytes(_worker_of(stack)),
            "threads": len(list(Path(f"/proc/{_worker_of(stack)}/task").iterdir())),
        }
        asker.close()
        streams.close()
    return figures


# --- All of it ---------------------------------------------------------------


def _measure(number: int) -> Figures:
    """Measure with so many users."""
    users = [f"user{n}" for n in range(number)]
    nodes = max(_FEWEST_NODES, math.ceil(number / _USERS_PER_NODE))
    settings = json.dumps({**_FAST, "nodes": nodes})
    with (
        tempfile.TemporaryFile("w+") as log,
        Stack(DEMO_CONFIG, "--settings", settings, log=log) as stack,
    ):
        time.sleep(_SETTLE_SECONDS)
        figures = {"RSS at the start (MiB)": _mebibytes(_worker_of(stack))}
        figures |= _measure_storm(stack, users)
        figures["RSS after all spawns (MiB)"] = _mebibytes(_worker_of(stack))
        figures["threads"] = len(
            list(Path(f"/proc/{_worker_of(stack)}/task").iterdir())
        )
        figures |= _measure_queries(stack, users)
        figures |= _measure_restart(stack, users)
        began, used = time.monotonic(), _cpu_seconds(_worker_of(stack))
        asyncio.run(_run(stack, users, spawn=False))
        used = _cpu_seconds(_worker_of(stack)) - used
        figures["all labs deleted after (s)"] = time.monotonic() - began
        figures["CPU per deletion: service (ms)"] = used * 1000 / number
    return figures


def _table(columns: list[str], runs: list[Figures]) -> Iterable[str]:
    """Lay the figures out, and by what factor each grows from first to last."""
    grows = len(runs) > 1
    width = max(len(row) for row in runs[0])
    heads = [*columns, "growth"] if grows else columns
    yield " " * width + "".join(f"{head:>12}" for head in heads)
    for row in runs[0]:
        values = [run[row] for run in runs]
        cells = [_shown(value) for value in values]
        if grows:
            cells.append(f"x {values[-1] / values[0]:.1f}" if values[0] else "")
        yield f"{row:{width}}" + "".join(f"{cell:>12}" for cell in cells)


def _shown(value: float) -> str:
    if float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _machine() -> str:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} x {models[0] if models else 'CPU'}, load {load:.1f}"


def main() -> None:
    """Measure with each number of users, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=[100, 300, 1000, 2000])
    parser.add_argument("--streams", type=int, default=5000, help="0 for none")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    raise_descriptor_limit()
    # As an installed package has it: else each start would compile all code anew.
    compileall.compile_dir(Path(nublado.__file__).parent, quiet=1)
    threading.stack_size(256 * 1024)
    print(_machine(), flush=True)
    runs = []
    for number in arguments.users:
        print(f"Measuring with {number} users", flush=True)
        runs.append(_measure(number))
        print(*_table([f"{number} users"], runs[-1:]), sep="\n", flush=True)
    print()
    print(*_table([f"{n} users" for n in arguments.users], runs), sep="\n")
    if arguments.streams:
        streams = _measure_streams(arguments.streams)
        print()
        print(*_table(["open streams"], [streams]), sep="\n")
        runs.append(streams)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(runs, indent=1))


if __name__ == "__main__":
    main()
