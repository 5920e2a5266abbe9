"""How many files there may be, and who may use them."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from nublado.descriptors import most_connections, most_streams


@pytest.mark.parametrize(
    ("descriptors", "streams", "connections"),
    [
        (256, 128, 64),
        (1024, 512, 256),
        (40_000, 20_000, 10_000),
        (65_536, 20_000, 16_384),
        (1_000_000, 20_000, 20_000),
    ],
)
def test_descriptors_are_shared_out(
    descriptors: int, streams: int, connections: int
) -> None:
    assert most_streams(descriptors) == streams
    assert most_connections(descriptors) == connections
    # Something is left for the cluster, the log and files.
    assert streams + connections <= descriptors * 3 // 4


@pytest.mark.parametrize(
    ("soft", "hard", "allowed"), [(100, 400, 400), (300, 300, 300)]
)
def test_limit_is_raised_as_far_as_it_may_be(
    soft: int, hard: int, allowed: int
) -> None:
    code = (
        "import resource\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "from nublado.descriptors import raise_descriptor_limit\n"
        "print(raise_descriptor_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert shown.stdout.split() == [str(allowed), str(allowed), str(hard)]
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] != allowed
