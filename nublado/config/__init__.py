"""Configuration: one YAML file, checked completely before anything starts."""

from __future__ import annotations

from nublado.config.loading import check, check_fit, check_for, examine, load, load_for

__all__ = ["check", "check_fit", "check_for", "examine", "load", "load_for"]
