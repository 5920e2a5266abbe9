"""File servers against a cluster in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from nublado.config.environment import Environment
from nublado.services.alerts import Alerts
from nublado.services.fileserver.service import FileserverService
from nublado.services.history import History
from nublado.services.waiting import WaitingRoom
from nublado.wiring import make_cluster, make_fileservers
from tests.cluster import Cluster, user

__all__ = ["CONFIG", "NAMESPACE", "RACHEL", "MakeService", "maker_of_services"]

CONFIG = Path(__file__).parent / "data" / "configs" / "files.yaml"
NAMESPACE = "fileservers"
RACHEL = user("rachel").info

MakeService = Callable[..., FileserverService]
"""Makes what manages file servers, as each process has it.

``creation_timeout`` is how long they may take to start (seconds).
"""


@contextmanager
def maker_of_services(cluster: Cluster) -> Iterator[MakeService]:
    """Make services on a cluster, which are stopped in the end."""
    cleanup: list[Callable[[], None]] = []

    def make(creation_timeout: float | None = None) -> FileserverService:
        config = cluster.config.fileserver
        assert config is not None
        if creation_timeout is not None:
            config = replace(config, creation_timeout=creation_timeout)
        connection = make_cluster(cluster.client(), cluster.config)
        service = make_fileservers(
            config=config,
            volumes=cluster.config.lab.volumes,
            platform=Environment(external_url="https://data.example.org").platform,
            cluster=connection,
            alerts=Alerts("test", None),
            history=History(),
            waiting=WaitingRoom(1000),
        )
        connection.start()
        cleanup.extend([connection.stop, service.stop])
        connection.wait_synced(10)
        return service

    yield make
    for end in reversed(cleanup):
        end()
