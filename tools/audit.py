"""Ask whether what a lock pins is known to be vulnerable.

Run with the Python of the environment that has pip-audit::

    python -m tools.audit requirements/run.txt
    python -m tools.audit --fail requirements/run.txt

Only with ``--fail`` does a vulnerability of which there is a fix end in failure: one
that becomes known tomorrow must not break what is built today. Where the
service that knows cannot be reached, that is said, and is no failure.
``PIP_AUDIT_VULNERABILITY_SERVICE`` and ``PIP_AUDIT_OSV_URL`` choose another service.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Finding", "NotAuditedError", "audit", "main"]

_ANSWER_SECONDS = 10
_MOST_SECONDS = 300
_PIN = re.compile(r"^[A-Za-z0-9].*?(?=^[A-Za-z0-9]|\Z)", re.MULTILINE | re.DOTALL)
_NEVER_HEARD_OF = "it does not know {name}, and so perhaps no package at all"


class NotAuditedError(Exception):
    """Nobody has answered; says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A vulnerability of a package that is pinned.

    Parameters
    ----------
    package
        Name and version.
    identifier
        What it is called.
    fixes
        Versions without it.
    """

    package: str
    identifier: str
    fixes: tuple[str, ...]

    def __str__(self) -> str:
        fixed = f"fixed in {', '.join(self.fixes)}" if self.fixes else "not fixed yet"
        return f"{self.package} has {self.identifier}, {fixed}"


def audit(lock: Path) -> list[Finding]:
    """Ask about all packages of a lock.

    The first one is asked about alone, since there is no point in waiting for an
    answer about each of the others where none comes.

    Parameters
    ----------
    lock
        Pins with hashes.

    Raises
    ------
    NotAuditedError
        Raised if the service cannot be reached, or knows nothing.
    """
    text = lock.read_text()
    first = _PIN.search(text)
    if first is None:
        return []
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as probe:
        probe.write(first[0])
        probe.flush()
        for package in _ask(Path(probe.name)):
            if "skip_reason" in package:
                raise NotAuditedError(_NEVER_HEARD_OF.format(name=package["name"]))
    return [finding for package in _ask(lock) for finding in _findings(package)]


def main(arguments: Sequence[str]) -> int:
    """Audit the locks that the arguments name; returns the exit code."""
    locks = [argument for argument in arguments if argument != "--fail"]
    if not locks:
        print(__doc__, file=sys.stderr)
        return 2
    found = [finding for lock in locks for finding in _tell(lock)]
    has_fix = any(finding.fixes for finding in found)
    return 1 if has_fix and "--fail" in arguments else 0


def _tell(lock: str) -> list[Finding]:
    try:
        found = audit(Path(lock))
    except NotAuditedError as e:
        print(f"{lock}: not audited, the vulnerability service does not answer: {e}")
        return []
    for finding in found:
        print(f"{lock}: {finding}")
    if not found:
        print(f"{lock}: no known vulnerabilities")
    return found


def _ask(requirements: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements)]
    command += ["--require-hashes", "--disable-pip", "--progress-spinner", "off"]
    command += ["--format", "json", "--desc", "off"]
    command += ["--timeout", str(_ANSWER_SECONDS)]
    try:
        done = subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            text=True,
            timeout=_MOST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotAuditedError(f"nothing came within {_MOST_SECONDS} s") from None
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise NotAuditedError(said[-1]) from None
    return packages


def _findings(package: dict[str, Any]) -> Iterator[Finding]:
    for vulnerability in package.get("vulns", ()):
        yield Finding(
            f"{package['name']}=={package['version']}",
            vulnerability["id"],
            tuple(vulnerability["fix_versions"]),
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
