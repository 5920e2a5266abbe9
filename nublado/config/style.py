"""For which releases a file is written, and what that means for its defaults.

There is one schema for all of them: no key has two meanings, but two defaults
have changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nublado.config.model import Config, Style
from nublado.config.values import Value, given, spelling

__all__ = [
    "has_standard_containers",
    "runtime_mounts_dir_by_default",
    "style_of",
    "with_defaults_of_style",
]

_OF_LAB = ("emptyDirSource", "homeVolumeName", "standardInithome")
_ACTIVITY_INTERVAL = 3600.0
_RUNTIME_MOUNTS_DIRS = {
    Style.OLD: "/opt/lsst/software/jupyterlab",
    Style.NEW: "/etc/nublado",
}


def style_of(data: Mapping[str, Value]) -> Style:
    """Find for which releases a file is written, by the keys that it has."""
    lab = _section(data, "lab")
    sizes = lab.get("sizes")
    is_new = (
        given(data, "fsadmin", even_empty=True)
        or given(data, "logProfile")
        or any(given(lab, key) for key in _OF_LAB)
        or any(
            given(size, "resources")
            for size in (sizes if isinstance(sizes, list) else ())
        )
    )
    return Style.NEW if is_new else Style.OLD


def has_standard_containers(data: Mapping[str, Value]) -> bool:
    """Whether labs have the standard init containers."""
    lab = _section(data, "lab")
    if given(lab, "standardContainers"):
        value = lab[spelling(lab, "standardContainers") or ""]
        return str(value).lower() == "true"
    return style_of(data) is Style.NEW


def runtime_mounts_dir_by_default(data: Mapping[str, Value]) -> str:
    """Directory for runtime mounts where the file does not name one."""
    return _RUNTIME_MOUNTS_DIRS[style_of(data)]


def with_defaults_of_style(config: Config, data: Mapping[str, Value]) -> Config:
    """Give a configuration the defaults of the releases that it is written for.

    Parameters
    ----------
    config
        The configuration.
    data
        The file that it was made from.
    """
    style = style_of(data)
    given_by_file = _section(data, "lab")
    lab = replace(config.lab, standard_containers=has_standard_containers(data))
    if not given(given_by_file, "runtimeMountsDir"):
        lab = replace(lab, runtime_mounts_dir=_RUNTIME_MOUNTS_DIRS[style])
    if style is Style.NEW and lab.activity_interval is None:
        lab = replace(lab, activity_interval=_ACTIVITY_INTERVAL)
    return replace(config, lab=lab, style=style)


def _section(data: Mapping[str, Value], key: str) -> dict[str, Value]:
    spelled = spelling(data, key)
    section = data[spelled] if spelled is not None else None
    return section if isinstance(section, dict) else {}
