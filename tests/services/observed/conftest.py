"""The deployments of the builders' tests."""

from __future__ import annotations

from tests.services.builder.conftest import case, case_name, full, new_style

__all__ = ["case", "case_name", "full", "new_style"]
