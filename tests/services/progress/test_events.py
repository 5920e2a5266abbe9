"""Events, as people read them."""

from __future__ import annotations

import pytest

from nublado.events import EventLog
from nublado.services.progress.events import readable, show_events


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            f'Pulling image "example.org/lab:w_1@sha256:{"0f2f5e6a" * 8}"',
            'Pulling image "example.org/lab:w_1@sha256:0f2f5e6a…"',
        ),
        ("Image size: 3512345678 bytes.", "Image size: 3.5 GB."),
        ("Image size: 12345678 bytes.", "Image size: 12.3 MB."),
        ("It has 12 bytes", "It has 12 bytes"),
        ("sha256:abc is short", "sha256:abc is short"),
    ],
)
def test_what_only_machines_read_is_shortened(message: str, shown: str) -> None:
    assert readable(message) == shown


def test_events_name_their_container_once() -> None:
    log = EventLog()
    log.info("Container created", container="notebook")
    log.info("Created container notebook", container="notebook")
    log.info("Scheduled")
    assert [event.message for event in show_events(log.all())] == [
        "notebook: Container created",
        "Created container notebook",
        "Scheduled",
    ]
