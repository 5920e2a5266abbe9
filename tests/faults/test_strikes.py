"""Strikes that are drawn on request only: each strikes, and is over again."""

from __future__ import annotations

import random
import time
from pathlib import Path

import requests

from tests.faults.journal import Journal
from tests.faults.soak import make_stack
from tests.faults.strikes import UNKIND, UNKIND_TO_LABS, Field

_PATIENCE = 60.0
_POD = {
    "metadata": {
        "name": "somebody",
        "labels": {"nublado.lsst.io/category": "lab", "nublado.lsst.io/user": "some"},
    },
    "spec": {"containers": [{"name": "notebook", "image": "x:1"}]},
}


def test_unkind_strikes_come_and_go(tmp_path: Path) -> None:
    with (tmp_path / "service.log").open("w+") as log, make_stack(log) as stack:
        field = Field(stack, Journal())
        url = f"{stack.endpoints.kubernetes}/api/v1/namespaces"
        requests.post(f"{url}/default/pods", json=_POD, timeout=10).raise_for_status()
        for strike in (*UNKIND, *UNKIND_TO_LABS):
            strike.run(field, random.Random(strike.name), 0.1)
            until_answered(url, strike.name)
            faults = stack.control("GET", "/faults")
            assert faults["rules"] == [], strike.name
            assert faults["watch"]["drop_after"] is None, strike.name
        nodes = requests.get(f"{stack.endpoints.kubernetes}/api/v1/nodes", timeout=10)
        assert not any(node["spec"].get("taints") for node in nodes.json()["items"])
        assert field.lost_nodes
    assert len({strike.name for strike in UNKIND}) == len(UNKIND)


def until_answered(url: str, strike: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while requests.get(url, timeout=_PATIENCE).status_code != requests.codes.ok:
        assert time.monotonic() < deadline, strike
        time.sleep(0.05)
