"""Kill the service in the middle of spawns, again and again.

Run with ``python bench/kill.py --rounds 10``. Each round, 20 users ask for
labs, and the service is killed (SIGKILL) at a random moment after that. Printed
is how long the next process takes until it is ready, and how each lab ended.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from nublado.sandbox.stack import Stack

_CONFIG = Path(__file__).parent.parent / "conf" / "demo.yaml"
_SETTINGS = {"pull_rules": {"sciplat/lab": 1.5}, "pull_seconds": 0.05}
_USERS = 20
_SECONDS = 30.0


def _create(stack: Stack, user: str) -> int:
    body = {
        "options": {"image_class": "recommended", "size": "small"},
        "env": {"JUPYTERHUB_SERVICE_PREFIX": f"/nb/user/{user}/"},
    }
    headers = {"X-Auth-Request-User": user, "X-Auth-Request-Token": f"gt-{user}"}
    url = f"{stack.api_url}/spawner/v1/labs/{user}/create"
    try:
        return requests.post(url, json=body, headers=headers, timeout=10).status_code
    except requests.RequestException:
        return 0


def _objects(stack: Stack, path: str) -> set[str]:
    query = {"labelSelector": "nublado.lsst.io/category=lab"}
    url = f"{stack.endpoints.kubernetes}/api/v1/{path}"
    found = requests.get(url, params=query, timeout=10).json()["items"]
    return {obj["metadata"]["name"] for obj in found}


def _status(stack: Stack, user: str) -> str:
    url = f"{stack.api_url}/spawner/v1/labs/{user}"
    answer = requests.get(url, timeout=10)
    return str(answer.json()["status"]) if answer.status_code == 200 else "gone"


def _round(stack: Stack, number: int, delay: float) -> tuple[float, Counter[str]]:
    """Spawn, kill, restart; returns seconds until ready and how labs ended."""
    users = [f"round{number}-user{i}" for i in range(_USERS)]
    with ThreadPoolExecutor(_USERS) as pool:
        list(pool.map(lambda user: _create(stack, user), users))
    time.sleep(delay)
    stack.service.kill()
    recorded = _objects(stack, "configmaps")
    began = time.monotonic()
    stack.start_service()
    stack.service.wait_ready()
    ready = time.monotonic() - began
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        ends = {user: _status(stack, user) for user in users}
        if set(ends.values()) <= {"running", "gone"}:
            break
        time.sleep(0.1)
    counts = Counter(ends.values())
    counts["lost"] = sum(
        ends[user] != "running" for user in users if f"{user}-nb-env" in recorded
    )
    spaces = _objects(stack, "namespaces")
    prefix = stack.config.lab.namespace_prefix
    counts["orphans"] = sum(
        ends[user] == "gone" for user in users if f"{prefix}-{user}" in spaces
    )
    for user in users:
        url = f"{stack.api_url}/spawner/v1/labs/{user}"
        requests.delete(url, timeout=_SECONDS)
    return ready, counts


def main() -> None:
    """Run the rounds and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    total: Counter[str] = Counter()
    times = []
    settings = json.dumps(_SETTINGS)
    with (
        tempfile.TemporaryFile("w+") as log,
        Stack(_CONFIG, "--settings", settings, log=log) as stack,
    ):
        for number in range(arguments.rounds):
            delay = chance.uniform(0.0, 0.6)
            ready, counts = _round(stack, number, delay)
            times.append(ready)
            total.update(counts)
            print(f"killed after {delay:.2f} s: ready in {ready:.2f} s, {dict(counts)}")
    print(f"ready after {min(times):.2f} to {max(times):.2f} s; {dict(total)}")


if __name__ == "__main__":
    main()
