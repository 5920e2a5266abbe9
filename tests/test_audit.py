"""What is known of the packages of a lock, and what follows from that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scripted_server import Reply, ScriptedServer
from tools.audit import NotAuditedError, audit, main

_HASH = "--hash=sha256:" + "0" * 64
_LOCK = f"# made by a test\nsafe==1.0 \\\n    {_HASH}\nweak==2.0 \\\n    {_HASH}\n"
_NOTHING = Reply(body=b"{}")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """A service that knows vulnerabilities, as OSV does."""
    server = ScriptedServer()
    server.default = _NOTHING
    server.start()
    monkeypatch.setenv("PIP_AUDIT_VULNERABILITY_SERVICE", "osv")
    monkeypatch.setenv("PIP_AUDIT_OSV_URL", f"{server.url}/v1/query")
    yield server
    server.stop()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "lock.txt"
    path.write_text(_LOCK)
    return path


def known(*fixed: str) -> Reply:
    """One vulnerability of the package ``weak``."""
    events: list[dict[str, Any]] = [{"introduced": "0"}]
    events += [{"fixed": version} for version in fixed]
    affected = {
        "package": {"name": "weak", "ecosystem": "PyPI"},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
    }
    vulnerability = {"id": "PYSEC-2077-1", "summary": "It is", "affected": [affected]}
    return Reply(body=json.dumps({"vulns": [vulnerability]}).encode())


def test_all_packages_are_asked_about(service: ScriptedServer, lock: Path) -> None:
    assert audit(lock) == []
    asked = [
        json.loads(request.body)["package"]["name"] for request in service.received
    ]
    assert asked[0] == "safe"
    assert sorted(asked[1:]) == ["safe", "weak"]


def test_a_vulnerability_is_told_and_fails_only_where_that_is_wanted(
    service: ScriptedServer, lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, code in (([], 0), (["--fail"], 1)):
        service.default = known("2.1")
        assert main([*arguments, str(lock)]) == code
        told = capsys.readouterr().out
        assert "weak==2.0 has PYSEC-2077-1, fixed in 2.1" in told


def test_a_vulnerability_without_a_fix_is_told_and_fails_nothing(
    service: ScriptedServer, lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.default = known()
    assert main(["--fail", str(lock)]) == 0
    assert "PYSEC-2077-1, not fixed yet" in capsys.readouterr().out


@pytest.mark.parametrize("trouble", [Reply(drop=True), Reply(503)])
def test_a_service_that_does_not_answer_fails_nothing(
    service: ScriptedServer,
    lock: Path,
    capsys: pytest.CaptureFixture[str],
    trouble: Reply,
) -> None:
    service.default = trouble
    assert main(["--fail", str(lock)]) == 0
    assert f"{lock}: not audited" in capsys.readouterr().out


def test_nobody_is_asked_about_the_rest_if_nobody_answers(
    service: ScriptedServer, lock: Path
) -> None:
    service.default = Reply(503)
    with pytest.raises(NotAuditedError):
        audit(lock)
    asked = {
        json.loads(request.body)["package"]["name"] for request in service.received
    }
    assert asked == {"safe"}


def test_an_empty_lock_needs_no_service(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("# nothing\n")
    assert audit(tmp_path / "empty.txt") == []
