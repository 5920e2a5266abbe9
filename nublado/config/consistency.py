"""What must agree between distant parts of a configuration.

These checks read the file's values rather than the configuration made of them,
and skip what the schemas refuse: so they find what they can in a file that has
other problems too, and all are reported at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields

from nublado.config.fileserver import fileserver_enabled
from nublado.config.model import Config, FileserverConfig, LabConfig
from nublado.config.paths import file_path, mount_path, normalised
from nublado.config.style import (
    has_standard_containers,
    runtime_mounts_dir_by_default,
)
from nublado.config.values import (
    Value,
    YamlPath,
    given,
    path_text,
    quoted,
    spelling,
    text_of,
)
from nublado.constants import DISCOVERY_PATH, SIZE_NAMES, STARTUP_DIRECTORY
from nublado.models.domain.volumes import file_volume_name

__all__ = ["Inconsistency", "inconsistencies"]

Inconsistency = tuple[YamlPath, str]
"""Path of what is wrong, and the message."""

Entry = tuple[YamlPath, str]
"""Path of a text in the file, and the text."""

_ROUTES = ("admin", "docs", "fileserver", "fsadmin", "openapi.json", "spawner")
"""What the controller serves below its own prefix."""

_RUNTIME_MOUNTS = ("secrets", "environment", "runtime")
"""What every lab has below its ``runtimeMountsDir``."""


def inconsistencies(data: Mapping[str, Value]) -> Iterator[Inconsistency]:
    """Find what contradicts itself in a configuration.

    Parameters
    ----------
    data
        Contents of the file.

    Yields
    ------
    tuple
        Path, with its keys in camelCase, and message.
    """
    lab = data.get("lab")
    sizes = _texts(lab, "sizes", "*", "size", at=("lab",))
    yield from _duplicates(((p, size.lower()) for p, size in sizes), "size")
    yield from _default_size(lab)
    names = _texts(lab, "initContainers", "*", "name", at=("lab",))
    yield from _duplicates(names, "init container name")
    keys = _texts(lab, "secrets", "*", "secretKey", at=("lab",))
    yield from _duplicates(keys, "secret key")
    yield from _volume_names(lab)
    yield from _environment(lab)
    yield from _lab_paths(data)
    yield from _home_volume(data)
    fileserver = data.get("fileserver")
    if fileserver_enabled(fileserver):
        yield from _routes(data)
    else:
        fileserver = None
    yield from _mounts(lab, fileserver)
    yield from _fsadmin(lab, data.get("fsadmin"))


def _volume_names(lab: object) -> Iterator[Inconsistency]:
    """Volumes, and files (which are volumes too), have names of their own."""
    volumes = _texts(lab, "volumes", "*", "name", at=("lab",))
    files = _accepted(_keys(lab, "files", at=("lab",)), file_path)
    named = [(path, file_volume_name(file)) for path, file in files]
    yield from _duplicates([*volumes, *named], "volume name")


def _environment(lab: object) -> Iterator[Inconsistency]:
    """No variable is set twice."""
    variables = _keys(lab, "env", at=("lab",))
    secrets = _texts(lab, "secrets", "*", "env", at=("lab",))
    yield from _duplicates([*variables, *secrets], "environment variable")


def _default_size(lab: object) -> Iterator[Inconsistency]:
    """The size that is chosen by default can be chosen."""
    sizes = [size.lower() for _, size in _texts(lab, "sizes", "*", "size")]
    for path, size in _texts(lab, "defaultSize", at=("lab",)):
        if size.lower() in SIZE_NAMES and size.lower() not in sizes:
            known = ", ".join(sizes) or "none"
            yield path, f"{quoted(size)} is not in lab.sizes, which has: {known}"


def _home_volume(data: Mapping[str, Value]) -> Iterator[Inconsistency]:
    """The volume of home directories is there where it is needed."""
    lab = data.get("lab")
    is_named = given(lab, "homeVolumeName")
    makes_homes = has_standard_containers(data) and _is_true(lab, "standardInithome")
    if not is_named and not makes_homes:
        return
    at = ("lab", "homeVolumeName" if is_named else "standardInithome")
    home = _text(lab, _default(LabConfig, "home_volume_name"), "homeVolumeName")
    volumes = {name for _, name in _texts(lab, "volumes", "*", "name")}
    mounted = {name for _, name in _texts(lab, "volumeMounts", "*", "volumeName")}
    if home not in volumes:
        known = ", ".join(sorted(volumes)) or "none"
        yield (
            at,
            f"the volume of home directories, {quoted(home)}, is not in lab.volumes,"
            f" which has: {known}; lab.homeVolumeName names it",
        )
    elif makes_homes and home not in mounted:
        yield (
            at,
            f"the volume of home directories, {quoted(home)}, is not in"
            " lab.volumeMounts, so that no home could be made",
        )


def _is_true(section: object, key: str) -> bool:
    """Whether a boolean setting is given, and true."""
    return any(str(value).lower() == "true" for _, value in _select(section, (key,)))


def _lab_paths(data: Mapping[str, Value]) -> Iterator[Inconsistency]:
    """Nothing else is mounted where a lab has something already."""
    lab = data.get("lab")
    directory = _text(lab, runtime_mounts_dir_by_default(data), "runtimeMountsDir")
    taken = {
        normalised(f"{directory}/{name}"): f"the lab's own {name}"
        for name in _RUNTIME_MOUNTS
    }
    taken[DISCOVERY_PATH] = "the lab's own discovery file"
    if has_standard_containers(data):
        taken[STARTUP_DIRECTORY] = "the lab's own startup"
    files = _keys(lab, "files", at=("lab",))
    mounts = _texts(lab, "volumeMounts", "*", "containerPath", at=("lab",))
    secrets = _texts(lab, "secrets", "*", "path", at=("lab",))
    paths = _accepted([*files, *mounts, *secrets], mount_path)
    yield from _duplicates(paths, "path", taken)


def _mounts(lab: object, fileserver: object) -> Iterator[Inconsistency]:
    """All mounts are of volumes that exist, and none has another's path."""
    volumes = {name for _, name in _texts(lab, "volumes", "*", "name")}
    known = ", ".join(sorted(volumes)) or "none"
    of_lab = list(_select(lab, ("volumeMounts",), ("lab",)))
    of_others = [
        *_select(lab, ("initContainers", "*", "volumeMounts"), ("lab",)),
        *_select(fileserver, ("volumeMounts",), ("fileserver",)),
    ]
    for path, mounts in of_lab + of_others:
        for name_path, name in _texts(mounts, "*", "volumeName", at=path):
            if name not in volumes:
                yield (
                    name_path,
                    f"{quoted(name)} is not in lab.volumes, which has: {known}",
                )
    for path, mounts in of_others:
        paths = _texts(mounts, "*", "containerPath", at=path)
        yield from _duplicates(_accepted(paths, mount_path), "path")


def _fsadmin(lab: object, section: object) -> Iterator[Inconsistency]:
    """What fsadmin has besides the volumes and mounts of labs is all its own."""
    at = ("fsadmin",)
    volumes = _texts(lab, "volumes", "*", "name", at=("lab",))
    extra = _texts(section, "extraVolumes", "*", "name", at=at)
    yield from _only_new(volumes, _duplicates([*volumes, *extra], "volume name"))
    names = {name for _, name in [*volumes, *extra]}
    known = ", ".join(sorted(names)) or "none"
    for path, name in _texts(section, "extraVolumeMounts", "*", "volumeName", at=at):
        if name not in names:
            yield (
                path,
                f"{quoted(name)} is neither in lab.volumes nor in"
                f" fsadmin.extraVolumes, which have: {known}",
            )
    mounts = _texts(lab, "volumeMounts", "*", "containerPath", at=("lab",))
    own = _texts(section, "extraVolumeMounts", "*", "containerPath", at=at)
    paths = _accepted([*mounts, *own], mount_path)
    yield from _only_new(mounts, _duplicates(paths, "path"))


def _only_new(
    known: Iterable[Entry], found: Iterable[Inconsistency]
) -> Iterator[Inconsistency]:
    """Leave out what has been reported for the section that it is from."""
    elsewhere = {path for path, _ in known}
    return (problem for problem in found if problem[0] not in elsewhere)


def _routes(data: Mapping[str, Value]) -> Iterator[Inconsistency]:
    """File servers do not hide the controller's routes, nor the reverse."""
    prefix = normalised(_text(data, _default(Config, "path_prefix"), "pathPrefix"))
    default = _default(FileserverConfig, "path_prefix")
    files = normalised(_text(data, default, "fileserver", "pathPrefix"))
    own = [prefix, *(f"{prefix}/{route}" for route in _ROUTES)]
    hidden = f"{prefix}/".startswith(f"{files}/")
    if hidden or any(f"{files}/".startswith(f"{route}/") for route in own[1:]):
        yield (
            ("fileserver", "pathPrefix"),
            f"{quoted(files)} overlaps the controller's routes under {quoted(prefix)}",
        )


def _duplicates(
    entries: Iterable[Entry], what: str, taken: dict[str, str] | None = None
) -> Iterator[Inconsistency]:
    """Report what is there more than once.

    Parameters
    ----------
    entries
        Texts that must differ.
    what
        What they are, for the message.
    taken
        Texts that are in use already, and by what.
    """
    owners = dict(taken or {})
    for path, text in entries:
        if text in owners:
            yield path, f"{what} {quoted(text)} is already taken by {owners[text]}"
        else:
            owners[text] = path_text(path)


def _accepted(entries: Iterable[Entry], rule: Callable[[str], str]) -> Iterator[Entry]:
    """Entries that satisfy a rule, normalised by it.

    The others have been reported for what they are.
    """
    for path, text in entries:
        with suppress(ValueError):
            yield path, rule(text)


def _select(
    value: object, keys: YamlPath, at: YamlPath = ()
) -> Iterator[tuple[YamlPath, object]]:
    """Values at a path in which ``*`` stands for every item of a list."""
    if not keys:
        yield at, value
    elif keys[0] == "*":
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from _select(item, keys[1:], (*at, index))
    elif isinstance(value, dict):
        key = spelling(value, str(keys[0]))
        if key is not None:
            yield from _select(value[key], keys[1:], (*at, keys[0]))


def _texts(value: object, *keys: str, at: YamlPath = ()) -> list[Entry]:
    """Texts at a path, without the empty ones."""
    texts = [(path, text_of(item)) for path, item in _select(value, keys, at)]
    return [(path, text) for path, text in texts if text]


def _text(value: object, default: str, *keys: str) -> str:
    """The text at a path."""
    return next((text for _, text in _texts(value, *keys)), default)


def _default(model: type[Config | LabConfig | FileserverConfig], name: str) -> str:
    """Default of a setting."""
    return next(str(f.default) for f in fields(model) if f.name == name)


def _keys(value: object, *keys: str, at: YamlPath = ()) -> list[Entry]:
    """Keys of the mapping at a path."""
    return [
        ((*path, key), key)
        for path, item in _select(value, keys, at)
        if isinstance(item, dict)
        for key in item
    ]
