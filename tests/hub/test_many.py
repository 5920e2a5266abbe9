"""Many users at once, by JupyterHub's own API."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from nublado.sandbox.platform import Platform
from tests.hub.users import HubUser

_USERS = 20


def test_twenty_users_at_once(platform: Platform) -> None:
    users = [HubUser(platform, f"crowd{number}") for number in range(_USERS)]
    with ThreadPoolExecutor(_USERS) as pool:
        list(pool.map(HubUser.log_in, users))
        answers = list(pool.map(HubUser.start, users))
        assert {answer.status_code for answer in answers} <= {201, 202}
        list(pool.map(HubUser.wait_ready, users))
        assert {user.status() for user in users} == {"running"}
        list(pool.map(HubUser.stop, users))
        list(pool.map(HubUser.wait_gone, users))
