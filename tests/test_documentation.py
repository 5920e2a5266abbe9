"""What operators search the log for is what the service writes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent
_OPERATIONS = (_ROOT / "docs" / "operations.md").read_text()
_CODE = "".join(
    path.read_text()
    for path in sorted((_ROOT / "nublado").rglob("*.py"))
    if "sandbox" not in path.parts
)
_LOGS = _OPERATIONS[_OPERATIONS.index("## Logs") : _OPERATIONS.index("## Alerts")]
_TITLE = re.compile(r" (failed|was cancelled)$")


def _is_written(event: str) -> bool:
    """Whether the code has an event, or the title of an operation that ends so."""
    return f'"{event}"' in _CODE or f'title = "{_TITLE.sub("", event)}"' in _CODE


def test_documented_log_events_are_written() -> None:
    cells = re.findall(r"^\| (`[A-Z][^|]*`) \|", _LOGS, re.MULTILINE)
    events = [event for cell in cells for event in re.findall(r"`([^`]+)`", cell)]
    assert len(events) > 20
    assert [event for event in events if not _is_written(event)] == []


def test_alerts_are_documented() -> None:
    alerts = set(re.findall(r"event=\"([A-Z][^\"]+)\"", _CODE))
    assert len(alerts) > 5
    assert sorted(a for a in alerts if f"`{a}`" not in _OPERATIONS) == []


@pytest.mark.parametrize("page", sorted(path.name for path in _ROOT.glob("*.md")))
def test_pages_outside_the_site_link_to_what_is_there(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (_ROOT / page).read_text())
    assert [link for link in links if not (_ROOT / link).exists()] == []


def test_site_has_no_broken_link(tmp_path: Path) -> None:
    build = (sys.executable, "-m", "sphinx", "-q", "-n", "-b", "html")
    pages = (str(_ROOT / "docs"), str(tmp_path / "site"))
    made = subprocess.run(
        [*build, "-d", str(tmp_path / "doctrees"), *pages],
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    assert made.stderr == ""
    assert "/spawner/v1/labs" in (tmp_path / "site" / "api.html").read_text()
