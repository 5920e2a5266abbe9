"""Rewrite a configuration for older releases as one for newer ones.

Comments, quotes and the order of keys are kept. What the two forms mean is compared
afterwards, so that nothing changes but what is meant to.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import DoubleQuotedScalarString
from ruamel.yaml.tokens import CommentToken

from nublado.config.loading import examine
from nublado.config.model import Config, LabConfig, Style
from nublado.config.values import camel_case, spelling
from nublado.constants import LIMIT_TO_REQUEST_RATIO
from nublado.exceptions import ConfigurationProblem, NubladoError
from nublado.units import bytes_to_text, memory_to_bytes

__all__ = ["Migration", "MigrationError", "compare", "examine_text", "migrate"]

_WIDTH = 100_000
"""Long lines are not to be wrapped."""

_EOL = 2
"""Where ruamel keeps the comment behind a value, with all lines until the next."""

_CHANGED = {"standard_containers", "runtime_mounts_dir", "activity_interval", "sizes"}
"""Settings of labs that may differ between the two forms."""


class MigrationError(NubladoError):
    """A configuration cannot be rewritten."""


@dataclass(frozen=True, slots=True)
class Migration:
    """A configuration that was rewritten.

    Parameters
    ----------
    text
        The file.
    remarks
        What could not be done, or only roughly.
    """

    text: str
    remarks: tuple[str, ...]


def migrate(text: str, *, keep_labs: bool = False) -> Migration:
    """Rewrite a configuration.

    Parameters
    ----------
    text
        The file, which need not be complete.
    keep_labs
        Set what keeps labs as they are, in place of new defaults.

    Raises
    ------
    MigrationError
        Raised if it is not YAML that can be rewritten.
    """
    yaml = _round_trip(text)
    try:
        root = yaml.load(text)
    except Exception as e:
        # Whatever else it raises: the file has been read by another parser.
        raise MigrationError(f"cannot be rewritten: {type(e).__name__}: {e}") from e
    if not isinstance(root, CommentedMap):
        raise MigrationError("must be a mapping with keys such as lab and images")
    remarks = list(_rewrite(root, keep_labs=keep_labs))
    stream = io.StringIO()
    yaml.dump(root, stream)
    return Migration(stream.getvalue(), tuple(remarks))


def examine_text(text: str) -> Config | list[ConfigurationProblem]:
    """Check a configuration that is in no file."""
    with TemporaryDirectory() as directory:
        file = Path(directory) / "config.yaml"
        file.write_text(text)
        return examine(file)


def _round_trip(text: str) -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _WIDTH
    dash = re.search(
        r"^( *)[\w-]+:[^\n]*\n(?:\s*(?:#[^\n]*)?\n)*( *)- ", text, re.MULTILINE
    )
    offset = max(0, len(dash[2]) - len(dash[1])) if dash else 2
    yaml.indent(mapping=2, sequence=offset + 2, offset=offset)
    return yaml


# --- What is rewritten ---------------------------------------------------


def _rewrite(root: CommentedMap, *, keep_labs: bool) -> Iterator[str]:
    """Rewrite in place, and yield remarks."""
    _rename(root, "profile", "logProfile")
    lab = _section(root, "lab")
    if lab is not None:
        _rename(lab, "tmpSource", "emptyDirSource")
        yield from _sizes(lab)
        if keep_labs:
            _insert(lab, "standardContainers", value=False)
            old = LabConfig.__dataclass_fields__["runtime_mounts_dir"].default
            _insert(lab, "runtimeMountsDir", value=old)
    images = _section(root, "images")
    if images is not None:
        _move_credentials(images)
    if not _is_new(root):
        _insert(root, "logProfile", value="production")


def _is_new(root: CommentedMap) -> bool:
    lab = _section(root, "lab")
    sizes = lab.get(spelling(lab, "sizes")) if lab is not None else None
    return (
        spelling(root, "logProfile") is not None
        or spelling(root, "fsadmin") is not None
        or (lab is not None and spelling(lab, "emptyDirSource") is not None)
        or any(isinstance(s, CommentedMap) and "resources" in s for s in sizes or ())
    )


def _sizes(lab: CommentedMap) -> Iterator[str]:
    """Give sizes requests beside limits, the same that they have had."""
    sizes = lab.get(spelling(lab, "sizes"))
    for size in sizes if isinstance(sizes, list) else ():
        if not isinstance(size, CommentedMap) or not {"cpu", "memory"} <= _own(size):
            continue
        name = size.get("size", "?")
        try:
            cpu, memory = float(str(size["cpu"])), memory_to_bytes(str(size["memory"]))
        except ValueError:
            continue
        if not math.isclose(cpu * 1000, round(cpu * 1000), rel_tol=1e-12):
            yield (
                f"size {name} keeps its form: {cpu} cores are not whole millicores,"
                " which the new form requires"
            )
            continue
        requested = math.ceil(round(cpu * 1000 / LIMIT_TO_REQUEST_RATIO, 9))
        if requested * LIMIT_TO_REQUEST_RATIO != round(cpu * 1000):
            yield (
                f"size {name} requests {requested}m CPU, which is a quarter of its"
                " limit rounded up to a whole millicore"
            )
        _give_requests(size, requested, memory // LIMIT_TO_REQUEST_RATIO)


def _give_requests(size: CommentedMap, millicores: int, memory: int) -> None:
    keys = [key for key in size if key in ("cpu", "memory")]
    position = list(size).index(keys[0])
    limits, requests, resources = CommentedMap(), CommentedMap(), CommentedMap()
    for key in keys:
        comment = size.ca.items.pop(key, None)
        limits[key] = size.pop(key)
        if comment is not None:
            limits.ca.items[key] = comment
    cores = millicores / 1000
    requests["cpu"] = int(cores) if cores == int(cores) else cores
    text = bytes_to_text(memory)
    # Helm makes floating point numbers of large ones.
    requests["memory"] = DoubleQuotedScalarString(text) if text.isdigit() else text
    resources["limits"], resources["requests"] = limits, requests
    if size.fa.flow_style():
        for made in (limits, requests, resources):
            made.fa.set_flow_style()
    else:
        _move_following_lines(limits, keys[-1], requests, "memory")
    size.insert(position, "resources", resources)
    if size.fa.flow_style():
        _take_comment(limits, keys[-1], size, "resources")


def _move_credentials(images: CommentedMap) -> None:
    source = _section(images, "source")
    key = spelling(source, "credentialsPath") if source is not None else None
    if source is None or key is None or key not in _own(source):
        return
    if spelling(images, "dockerCredentialsPath") is not None:
        return
    comment = source.ca.items.pop(key, None)
    value = source.pop(key)
    if value is None:
        return
    after = spelling(images, "source")
    name = _spelled_like(images, "dockerCredentialsPath", key)
    images.insert(list(images).index(after) + 1, name, value)
    if comment is not None:
        images.ca.items[name] = comment


# --- Round-trip mappings -------------------------------------------------


def _section(parent: CommentedMap, key: str) -> CommentedMap | None:
    found = parent.get(spelling(parent, key))
    return found if isinstance(found, CommentedMap) else None


def _own(mapping: CommentedMap) -> set[str]:
    """Keys that a mapping has itself, and that can be taken out of it.

    Those that others have by merging (``<<``) would be missing there.
    """
    if mapping._ref:
        return set()
    return {key for key, _ in mapping.non_merged_items()}


def _rename(mapping: CommentedMap, old: str, new: str) -> None:
    key = spelling(mapping, old)
    if key is None or key not in _own(mapping) or spelling(mapping, new) is not None:
        return
    position = list(mapping).index(key)
    comment = mapping.ca.items.pop(key, None)
    name = _spelled_like(mapping, new, key)
    mapping.insert(position, name, mapping.pop(key))
    if comment is not None:
        mapping.ca.items[name] = comment


def _insert(mapping: CommentedMap, key: str, *, value: object) -> None:
    if spelling(mapping, key) is None:
        first = next(iter(mapping), key)
        mapping.insert(0, _spelled_like(mapping, key, str(first)), value)


def _spelled_like(mapping: Mapping[str, Any], name: str, key: str) -> str:
    """Spell a new key in snake_case where the file does so."""
    others = [str(k) for k in mapping] + [key]
    has_camel = any(k != k.lower() for k in others)
    if has_camel or not any("_" in k and camel_case(k) != k for k in others):
        return name
    return re.sub(r"([A-Z])", r"_\1", name).lower()


def _move_following_lines(
    source: CommentedMap, key: str, target: CommentedMap, target_key: str
) -> None:
    """Move the lines below a value, which are about what follows the mapping."""
    comment = source.ca.items.get(key)
    token = comment[_EOL] if comment else None
    if not isinstance(token, CommentToken):
        return
    head, newline, tail = token.value.partition("\n")
    if not tail:
        return
    moved = CommentToken(f"{newline}{tail}", token.start_mark, None)
    target.ca.items[target_key] = [None, None, moved, None]
    if head:
        comment[_EOL] = CommentToken(f"{head}\n", token.start_mark, None)
    else:
        del source.ca.items[key]


def _take_comment(
    source: CommentedMap, key: str, target: CommentedMap, target_key: str
) -> None:
    comment = source.ca.items.pop(key, None)
    if comment is not None:
        target.ca.items[target_key] = comment


# --- What it means -------------------------------------------------------


def compare(old: Config, new: Config) -> list[str]:
    """Say what changes for labs, and check that nothing else does.

    Raises
    ------
    MigrationError
        Raised if the new form means something else than the old one.
    """
    _check_same(old, new)
    return [*_changes_of_labs(old.lab, new.lab), *_advice(new)]


def _check_same(old: Config, new: Config) -> None:
    lab = replace(
        new.lab, **{name: getattr(old.lab, name) for name in sorted(_CHANGED)}
    )
    limits = [size.resources.limits for size in old.lab.sizes]
    differing = [
        f"lab.{camel_case(field.name)}"
        for field in fields(LabConfig)
        if getattr(lab, field.name) != getattr(old.lab, field.name)
    ] + [
        camel_case(field.name)
        for field in fields(Config)
        if field.name not in ("lab", "style")
        and getattr(new, field.name) != getattr(old, field.name)
    ]
    if limits != [size.resources.limits for size in new.lab.sizes]:
        differing.append("lab.sizes")
    if differing or new.style is not Style.NEW:
        found = ", ".join(differing) or "its style"
        raise MigrationError(f"the result would differ from the file in {found}")


def _changes_of_labs(old: LabConfig, new: LabConfig) -> Iterator[str]:
    if old.runtime_mounts_dir != new.runtime_mounts_dir:
        yield (
            "Labs: secrets, environment and runtime information are mounted below"
            f" {new.runtime_mounts_dir}, no longer below {old.runtime_mounts_dir}."
            " Images have to look where NUBLADO_RUNTIME_MOUNTS_DIR says."
            f" lab.runtimeMountsDir: {old.runtime_mounts_dir} keeps the old place."
        )
    if new.standard_containers and not old.standard_containers:
        pages = new.env.get("RSP_SITE_TYPE") == "science"
        yield (
            "Labs: the standard init containers are added: nublado-std-startup"
            + (" and, for RSP_SITE_TYPE science, nublado-std-landingpage" * pages)
            + ". They run the image of NUBLADO_CONTROLLER_REPOSITORY and"
            " NUBLADO_CONTROLLER_TAG. lab.standardContainers: false leaves them out."
        )
    if new.activity_interval != old.activity_interval:
        yield (
            "Labs: they report every hour that they are in use, whatever JupyterHub"
            " says; lab.activityInterval sets another time."
        )
    for before, after in zip(old.sizes, new.sizes, strict=True):
        if before.label != after.label:
            yield f"Menu: {before.label} is shown as {after.label}."


def _advice(new: Config) -> Iterator[str]:
    if new.fsadmin is None:
        yield (
            "fsadmin is not added, though the original requires it: here it would"
            " let operators have a privileged pod with all file systems."
        )
    if new.fileserver is not None and new.fileserver.image is not None:
        yield (
            "fileserver.image is kept, though the original does not know it: without"
            " it, file servers run the image of NUBLADO_CONTROLLER_REPOSITORY."
        )
    by_hand = [c.name for c in new.lab.init_containers if c.privileged]
    if by_hand and new.lab.standard_containers and not new.lab.standard_inithome:
        yield (
            f"The privileged init container {', '.join(by_hand)} is kept. If it makes"
            " home directories, lab.standardInithome: true can take its place."
        )
