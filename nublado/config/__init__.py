"""Configuration: one YAML file, checked completely before anything starts."""

from __future__ import annotations

from nublado.config.loading import check, load

__all__ = ["check", "load"]
