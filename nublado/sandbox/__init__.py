"""An embedded cluster for the demonstration and the tests."""

from __future__ import annotations

from pathlib import Path

__all__ = ["DEMO_CONFIG"]

DEMO_CONFIG = Path(__file__).parent / "data" / "demo.yaml"
"""Configuration of a small science platform, for the demonstration."""
