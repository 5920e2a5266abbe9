"""Kill and restart the service in front of hundreds of running labs.

Run with ``python bench/restart.py --labs 500``. Printed is how long the next
process takes until it is ready, what it asks the API server for, whether it
knows all labs, whether their pods were touched, and how long it takes until a
lab can be spawned. With ``--registry away`` (or ``limits``, ``refuses``,
``silent``) there is no registry for the next process.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import requests

from nublado.sandbox import DEMO_CONFIG
from nublado.sandbox.stack import Stack

_SETTINGS = {
    "pull_seconds": 0.05,
    "init_seconds": 0.01,
    "start_delay": 0.01,
    "nodes": 20,
}
_SECONDS = 120.0
_TROUBLES = {
    "well": [],
    "away": [{"target": "registry", "drop": "before"}],
    "limits": [{"target": "registry", "status": 429, "retry_after": 3600}],
    "refuses": [{"target": "registry", "status": 403}],
    "silent": [{"target": "registry", "silent": True}],
}


def _create(stack: Stack, user: str, image: str = "image_class=recommended") -> int:
    option, _, value = image.partition("=")
    body = {
        "options": {option: value, "size": "small"},
        "env": {"JUPYTERHUB_SERVICE_PREFIX": f"/nb/user/{user}/"},
    }
    headers = {"X-Auth-Request-User": user, "X-Auth-Request-Token": f"gt-{user}"}
    url = f"{stack.api_url}/spawner/v1/labs/{user}/create"
    answer = requests.post(url, json=body, headers=headers, timeout=_SECONDS)
    if answer.status_code not in (201, 503):
        answer.raise_for_status()
    if answer.status_code == 503:
        print(f"503 for {value}: {answer.json()['detail'][0]['msg']}")
    return answer.status_code


def _spawn(stack: Stack, user: str) -> float:
    """Spawn a lab of an image that is known; return when it was accepted."""
    while _create(stack, user) != 201:
        time.sleep(0.05)
    accepted = time.monotonic()
    while user not in _running(stack):
        time.sleep(0.05)
    return accepted


def _running(stack: Stack) -> set[str]:
    answer = requests.get(f"{stack.api_url}/spawner/v1/labs", timeout=_SECONDS)
    return set(answer.json())


def _pods(stack: Stack) -> dict[str, tuple[str, str]]:
    """Uid and version of each lab's pod: the version tells every change."""
    query = {"labelSelector": "nublado.lsst.io/category=lab"}
    url = f"{stack.endpoints.kubernetes}/api/v1/pods"
    found = requests.get(url, params=query, timeout=_SECONDS).json()["items"]
    return {
        pod["metadata"]["name"]: (
            pod["metadata"]["uid"],
            pod["metadata"]["resourceVersion"],
        )
        for pod in found
    }


def _requests(stack: Stack) -> Counter[str]:
    counted = stack.control.stats()["requests"]
    return Counter(
        {
            f"{c['method']} {c['route']}": c["count"]
            for c in counted
            if c["target"] == "kubernetes" and c["agent"].startswith("nublado/")
        }
    )


def main() -> None:
    """Make labs, kill the service, start it again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labs", type=int, default=500)
    parser.add_argument("--registry", choices=sorted(_TROUBLES), default="well")
    arguments = parser.parse_args()
    users = {f"user{number}" for number in range(arguments.labs)}
    settings = json.dumps(_SETTINGS)
    with (
        tempfile.TemporaryFile("w+") as log,
        Stack(DEMO_CONFIG, "--settings", settings, log=log) as stack,
    ):
        with ThreadPoolExecutor(50) as pool:
            list(pool.map(lambda user: _create(stack, user), sorted(users)))
        deadline = time.monotonic() + _SECONDS
        while _running(stack) != users and time.monotonic() < deadline:
            time.sleep(0.2)
        before = _pods(stack)
        print(f"{len(_running(stack))} labs are running")

        stack.service.kill()
        stack.control("PUT", "/faults", {"rules": _TROUBLES[arguments.registry]})
        stack.control("POST", "/stats/reset")
        began = time.monotonic()
        stack.start_service()
        stack.service.wait_ready()
        ready = time.monotonic() - began
        known = _running(stack)
        told = time.monotonic() - began
        asked = _requests(stack)
        accepted = _spawn(stack, "newcomer") - began
        running = time.monotonic() - began
        after = _pods(stack)
        print(f"ready after {ready:.2f} s, states told after {told:.2f} s")
        print(f"spawn accepted after {accepted:.2f} s, running after {running:.2f} s")
        asked_at = time.monotonic()
        status = _create(stack, "explorer", "image_tag=d_2026_10_23")
        print(f"digest unknown: {status} after {time.monotonic() - asked_at:.2f} s")
        print(f"{len(known)} known to be running, {len(users - known)} not")
        touched = sum(after.get(name) != pod for name, pod in before.items())
        print(f"pods touched: {touched}")
        print(f"requests to the API server: {asked.total()}")
        for request, number in asked.most_common():
            print(f"{number:6d}  {request}")


if __name__ == "__main__":
    main()
