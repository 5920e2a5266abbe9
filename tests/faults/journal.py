"""What a run has done and seen, and what must not have happened."""

from __future__ import annotations

import threading
from collections import Counter

__all__ = ["Journal"]


class Journal:
    """Counts of a run, shared by all its threads.

    Attributes
    ----------
    operations
        What users did, by kind.
    faults
        What struck, by kind.
    checks
        How often each invariant was checked.
    violations
        What must not have happened.
    ready_seconds
        How long each restart of the service took.
    """

    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.checks: Counter[str] = Counter()
        self.violations: list[str] = []
        self.ready_seconds: list[float] = []
        self._lock = threading.Lock()

    def did(self, operation: str, count: int = 1) -> None:
        """Count something that a user did."""
        with self._lock:
            self.operations[operation] += count

    def struck(self, fault: str) -> None:
        """Count a fault."""
        with self._lock:
            self.faults[fault] += 1

    def check(self, invariant: str, holds: object, found: object = "") -> None:
        """Check an invariant, noting what was found if it does not hold."""
        with self._lock:
            self.checks[invariant] += 1
            if not holds:
                self.violations.append(f"{invariant}: {found}")

    def summary(self) -> str:
        """All of it, as text."""
        lines = []
        for title, counts in (
            ("Operations", self.operations),
            ("Faults", self.faults),
            ("Invariants checked", self.checks),
        ):
            lines.append(f"{title}: {counts.total()}")
            lines += [f"  {n:7d}  {name}" for name, n in sorted(counts.items())]
        if self.ready_seconds:
            times = sorted(self.ready_seconds)
            median = times[len(times) // 2]
            lines.append(
                f"Restarts: {len(times)}, ready after {times[0]:.2f} s at best, "
                f"{median:.2f} s in the middle, {times[-1]:.2f} s at worst"
            )
        lines.append(f"Violations: {len(self.violations)}")
        lines += [f"  {violation}" for violation in self.violations]
        return "\n".join(lines)
