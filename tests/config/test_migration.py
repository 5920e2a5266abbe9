"""Configurations for 8.2, rewritten for 15.1."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nublado.config.chart_values import read_chart_values
from nublado.config.migration import MigrationError, compare, examine_text, migrate
from nublado.config.model import Config, Style

_CONFIGS = Path(__file__).parent.parent / "data" / "configs"
_EXAMPLE = Path(__file__).parent.parent.parent / "conf" / "config.example.yaml"
_FILES = sorted({*_CONFIGS.glob("*.yaml"), _EXAMPLE} - {_CONFIGS / "broken.yaml"})
_COMMENT = re.compile(r"(?<!\S)#[^\n]*")


def config_of(text: str) -> Config:
    config = examine_text(text)
    assert isinstance(config, Config), config
    return config


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.stem)
def test_examples_mean_the_same(file: Path) -> None:
    text = file.read_text()
    migrated = migrate(text).text
    new = config_of(migrated)
    assert new.style is Style.NEW
    compare(config_of(text), new)
    assert _COMMENT.findall(migrated) == _COMMENT.findall(text)
    assert migrate(migrated).text == migrated


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.stem)
def test_labs_can_be_kept(file: Path) -> None:
    old = config_of(file.read_text())
    new = config_of(migrate(file.read_text(), keep_labs=True).text)
    if old.style is Style.NEW:
        return
    assert new.style is Style.NEW
    assert new.lab.runtime_mounts_dir == old.lab.runtime_mounts_dir
    assert not new.lab.standard_containers
    assert [s.resources for s in new.lab.sizes] == [s.resources for s in old.lab.sizes]


_TEXT = """\
# A file.
profile: development  # readable
lab:
  namespacePrefix: userlabs
  # Sizes.
  sizes:
    - size: small
      memory: 3Gi  # three
      # Cores.
      cpu: 1  # one
    # The next one.
    - {size: large, cpu: 0.3, memory: 7G}  # large
    - size: huge
      cpu: 1.2345
      memory: 64Gi

  # Where temporary files are.
  tmpSource: disk
images:
  source:
    type: docker
    credentialsPath: /secrets/a.json  # ours
    repository: lab
"""
_MIGRATED = """\
# A file.
logProfile: development # readable
lab:
  namespacePrefix: userlabs
  # Sizes.
  sizes:
    - size: small
      resources:
        limits:
          memory: 3Gi # three
      # Cores.
          cpu: 1 # one
        requests:
          cpu: 0.25
          memory: 768Mi
    # The next one.
    - {size: large, resources: {limits: {cpu: 0.3, memory: 7G}, requests: {cpu: 0.075, memory: "1750000000"}}} # large
    - size: huge
      cpu: 1.2345
      memory: 64Gi

  # Where temporary files are.
  emptyDirSource: disk
images:
  source:
    type: docker
    repository: lab
  dockerCredentialsPath: /secrets/a.json # ours
"""  # noqa: E501


def test_comments_stay_where_they_belong() -> None:
    migration = migrate(_TEXT)
    assert migration.text == _MIGRATED
    assert migration.remarks == (
        "size huge keeps its form: 1.2345 cores are not whole millicores, which the"
        " new form requires",
    )
    said = compare(config_of(_TEXT), config_of(migration.text))
    assert "Menu: Large (0.3 CPU, 7G RAM) is shown as Large (0.3 CPU, 6.52Gi RAM)." in (
        said
    )
    assert sum(remark.startswith("Labs:") for remark in said) == 3


def test_requests_are_rounded_to_what_kubernetes_can_express() -> None:
    text = _TEXT.replace("cpu: 1  # one", "cpu: 0.25")
    migration = migrate(text)
    assert "cpu: 0.063\n" in migration.text
    assert "size small requests 63m CPU" in migration.remarks[0]


def test_snake_case_stays() -> None:
    migrated = migrate(
        "log_level: INFO\nprofile: production\n"
        "lab: {namespace_prefix: labs, tmp_source: disk,"
        " sizes: [{size: small, cpu: 1, memory: 1Gi}]}\n"
        "images: {source: {type: docker, repository: lab, credentials_path: /a.json},"
        " num_dailies: 3}\n"
    ).text
    for key in ("log_profile", "empty_dir_source", "docker_credentials_path"):
        assert f"{key}: " in migrated
    assert config_of(migrated).style is Style.NEW


def test_a_file_without_old_keys_is_marked() -> None:
    text = (
        "lab: {namespacePrefix: labs, sizes: [{size: small, cpu: 1.2345, memory: 1Gi}]}"
        "\nimages: {source: {type: docker, repository: lab}}\n"
    )
    assert config_of(text).style is Style.OLD
    assert config_of(migrate(text).text).style is Style.NEW


def test_merged_sizes_keep_their_form() -> None:
    text = (
        "lab:\n  namespacePrefix: labs\n  sizes:\n"
        "    - &small {size: small, cpu: 1, memory: 1Gi}\n"
        "    - <<: *small\n      size: large\n"
        "images: {source: {type: docker, repository: lab}}\n"
    )
    old = config_of(text)
    compare(old, config_of(migrate(text).text))


def test_a_result_that_means_something_else_is_refused() -> None:
    old = config_of(_TEXT)
    new = config_of(
        _MIGRATED.replace("namespacePrefix: userlabs", "namespacePrefix: x")
    )
    with pytest.raises(MigrationError, match=r"lab\.namespacePrefix"):
        compare(old, new)


@pytest.mark.parametrize("text", ["[]", "a: {", "a: 1\na: 2\n", "- a\n"])
def test_what_cannot_be_rewritten_is_told(text: str) -> None:
    with pytest.raises(MigrationError):
        migrate(text)


_SCALARS = st.sampled_from(["0.5", "1", "2.0", '"4"', "0.1", "16"])
_AMOUNTS = st.sampled_from(["3Gi", '"1.5GiB"', "7G", "536870912", "1000000001"])
_COMMENTS = st.sampled_from(["", "  # a", "\n      # b", "  # c\n      # d", "\n"])
_SIZES = st.lists(
    st.tuples(_SCALARS, _COMMENTS, _AMOUNTS, _COMMENTS, st.permutations([0, 1, 2])),
    min_size=1,
    max_size=4,
)
_NAMES = ("fine", "tiny", "small", "medium")


@settings(deadline=None, max_examples=50)
@given(_SIZES, st.booleans(), st.booleans())
def test_any_sizes_mean_the_same(
    sizes: list[tuple[str, str, str, str, list[int]]],
    profile: bool,
    indented: bool,
) -> None:
    text = "profile: production\n" * profile
    text += "lab:\n  namespacePrefix: labs\n  sizes:\n"
    dash = "    - " if indented else "  - "
    for name, (cpu, after_cpu, memory, after_memory, order) in zip(
        _NAMES, sizes, strict=False
    ):
        lines = [f"size: {name}", f"cpu: {cpu}{after_cpu}"]
        lines.append(f"memory: {memory}{after_memory}")
        rest = " " * len(dash)
        text += dash + f"\n{rest}".join(lines[i] for i in order) + "\n"
    text += "  # Files.\n  tmpSource: disk\n"
    text += "images:\n  source:\n    type: docker\n    repository: lab\n"
    old = config_of(text)
    migrated = migrate(text).text
    compare(old, config_of(migrated))
    found = sorted(_COMMENT.findall(migrated))
    assert found == sorted(_COMMENT.findall(text))


_VALUES = """\
# Values of a site.
controller:
  googleServiceAccount: "nublado@example.iam.gserviceaccount.com"
  slackAlerts: true
  resources:
    limits: {cpu: 1}   # enough
  config:
    # Who reads this?
    profile: production
    lab:
      namespacePrefix: labs
      sizes:
        - size: small
          cpu: 1
          memory: 4Gi
      files:
        /opt/x.conf: |
          [x]
            y = 1
    images:
      source:
        type: docker
        repository: lab
  # Of nodes.
  nodeSelector:
    pool: core
  tolerations: []
hub:
  timeout: 5
global:
  baseUrl: "https://data.example.org"
"""


def test_values_of_the_original_chart() -> None:
    values = read_chart_values(_VALUES)
    assert values is not None
    text = values.with_config(migrate(values.config).text)
    made = yaml.safe_load(text)
    given_config = yaml.safe_load(_VALUES)["controller"]["config"]
    assert set(made) == {
        "baseUrl",
        "config",
        "nodeSelector",
        "resources",
        "serviceAccount",
        "tolerations",
    }
    assert made["baseUrl"] == "https://data.example.org"
    assert made["config"]["logProfile"] == "production"
    assert made["config"]["lab"]["files"] == given_config["lab"]["files"]
    assert made["resources"] == {"limits": {"cpu": 1}}
    assert made["nodeSelector"] == {"pool": "core"}
    assert made["tolerations"] == []
    annotation = "iam.gke.io/gcp-service-account"
    assert annotation in made["serviceAccount"]["annotations"]
    for comment in ("# Who reads this?", "# enough", "# Of nodes."):
        assert comment in text
    remarks = "\n".join(values.remarks)
    assert "hub is not a matter of this chart" in remarks
    assert "slack.secretName" in remarks


@pytest.mark.parametrize("text", ["lab: {}\n", "controller: {}\n", "a: {", ""])
def test_files_that_are_no_values(text: str) -> None:
    assert read_chart_values(text) is None
