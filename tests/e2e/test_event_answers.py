"""Event streams, which are opened without the framework."""

from __future__ import annotations

import pytest
import requests

from nublado.sandbox.stack import Stack
from tests.e2e.users import SECONDS, User
from tests.waiting import wait_for

# What gunicorn adds to a response that is no stream, or the worker to one that is.
_CHANGING = (
    "Date",
    "X-Request-ID",
    "Server",
    "Content-Length",
    "Connection",
    "Transfer-Encoding",
)


@pytest.fixture
def lab(user: User) -> User:
    """A user whose lab runs."""
    assert user.spawn().kinds[-1] == "complete"
    return user


def _open(user: User, method: str = "GET", **headers: str) -> requests.Response:
    return requests.request(
        method,
        f"{user.lab}/events",
        headers={**user.headers, **headers},
        timeout=SECONDS,
    )


def _shown(response: requests.Response) -> tuple[int, dict[str, str]]:
    headers = {k: v for k, v in response.headers.items() if k not in _CHANGING}
    return response.status_code, headers


def test_head_of_a_stream_is_that_of_the_framework(lab: User) -> None:
    # There is no stream without a body, so this takes the long way.
    assert _shown(_open(lab)) == _shown(_open(lab, "HEAD"))


def test_only_what_is_missing_is_sent(lab: User) -> None:
    whole = _open(lab).text
    ids = [line[4:] for line in whole.splitlines() if line.startswith("id: ")]
    rest = _open(lab, **{"Last-Event-ID": ids[1]}).text
    assert f"id: {ids[1]}\n" not in rest
    assert whole.endswith(rest.removeprefix("retry: 2000\n"))
    assert _open(lab, **{"Last-Event-ID": ids[-1]}).status_code == 204


def test_request_has_an_id(lab: User) -> None:
    given = _open(lab, **{"X-Request-ID": "from-the-hub"})
    assert given.headers["X-Request-ID"] == "from-the-hub"
    made = _open(lab, **{"X-Request-ID": "no id!"}).headers["X-Request-ID"]
    assert made not in ("", "no id!", _open(lab).headers["X-Request-ID"])


def test_request_is_logged_and_counted(own_stack: Stack) -> None:
    user = User(own_stack, "rachel")
    assert user.spawn().kinds[-1] == "complete"
    route = f"{own_stack.config.path_prefix}/spawner/v1/labs/<username>/events"
    counted = (
        "nublado_request_duration_seconds_count"
        f'{{method="GET",route="{route}",status="200"}} '
    )

    def count() -> float:
        metrics = requests.get(f"{own_stack.service.url}/metrics", timeout=SECONDS)
        lines = [li for li in metrics.text.splitlines() if li.startswith(counted)]
        return float(lines[0].rpartition(" ")[2]) if lines else 0.0

    before = count()
    given = {"X-Request-ID": "find-me-1", "X-Forwarded-For": "192.0.2.7"}
    assert _open(user, **given).ok
    assert count() == before + 1
    log_file = own_stack.log_file
    assert log_file is not None

    def lines() -> list[str]:
        with open(log_file) as log:
            return [li for li in log if "find-me-1" in li and "Request" in li]

    wait_for(lambda: len(lines()) == 1)
    (line,) = lines()
    for fact in ("192.0.2.7", "rachel/events", "user=rachel", "status=200"):
        assert fact in line


def test_others_get_no_stream(lab: User) -> None:
    stranger = {"X-Auth-Request-User": "stranger"}
    assert _open(lab, **stranger).status_code == 403
    nobody = requests.get(f"{lab.lab}/events", timeout=SECONDS)
    assert nobody.status_code == 422
    for name in ("", "..", lab.name.upper(), f"{lab.name}%00"):
        url = f"{lab.lab.rpartition('/')[0]}/{name}/events"
        sent = requests.Request("GET", url, headers=lab.headers).prepare()
        sent.url = url
        with requests.Session() as session:
            answer = session.send(sent, timeout=SECONDS, allow_redirects=False)
        assert answer.status_code in (308, 403, 404), name
