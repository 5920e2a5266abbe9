"""Values that are fixed by the protocol or by the specification."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = [
    "ANNOTATION_REQUESTED_BY",
    "ANNOTATION_SPAWN",
    "ANNOTATION_USER_GROUPS",
    "ANNOTATION_USER_NAME",
    "ARGO_CD_ANNOTATIONS",
    "CATEGORY_FILESERVER",
    "CATEGORY_FSADMIN",
    "CATEGORY_IMAGES",
    "CATEGORY_LAB",
    "CATEGORY_PREPULLER",
    "CONFIGURATION_INTERVAL",
    "CONFIG_PATH",
    "DISCOVERY_PATH",
    "DISCOVERY_REFRESH_INTERVAL",
    "DROPDOWN_SENTINEL",
    "FILES_PREFIX",
    "KUBERNETES_NAME_PATTERN",
    "KUBERNETES_REQUEST_TIMEOUT",
    "LABEL_ARGO_CD",
    "LABEL_CATEGORY",
    "LABEL_USER",
    "LAB_FORGOTTEN_INTERVAL",
    "LAB_STOP_GRACE_SECONDS",
    "LIMIT_TO_REQUEST_RATIO",
    "MAX_BODY_BYTES",
    "MEMORY_TO_TMP_RATIO",
    "NOTICES_INTERVAL",
    "NOTICES_NAME",
    "PATH_PREFIX",
    "POD_STOP_GRACE_SECONDS",
    "REQUEST_ID_PATTERN",
    "RESERVED_ENV",
    "RESERVED_ENV_PREFIX",
    "RESERVED_PATHS",
    "SERVICE_PREFIX",
    "SIZE_NAMES",
    "STANDARD_CONTAINER_PREFIX",
    "STARTUP_DIRECTORY",
    "USERNAME_PATTERN",
]

CONFIG_PATH = Path("/etc/nublado/config.yaml")
"""Where the configuration is, unless ``NUBLADO_CONFIG`` names another file."""

LABEL_CATEGORY = "nublado.lsst.io/category"
LABEL_USER = "nublado.lsst.io/user"
LABEL_ARGO_CD = "argocd.argoproj.io/instance"
CATEGORY_LAB = "lab"
CATEGORY_IMAGES = "images"
CATEGORY_FILESERVER = "fileserver"
CATEGORY_FSADMIN = "fsadmin"
CATEGORY_PREPULLER = "prepuller"

ARGO_CD_ANNOTATIONS = {
    "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
    "argocd.argoproj.io/sync-options": "Prune=false",
}
"""Keep Argo CD from deleting what it did not make."""

ANNOTATION_REQUESTED_BY = "nublado.lsst.io/requested-by"
ANNOTATION_USER_GROUPS = "nublado.lsst.io/user-groups"
ANNOTATION_USER_NAME = "nublado.lsst.io/user-name"
ANNOTATION_SPAWN = "nublado.lsst.io/spawn"

PATH_PREFIX = "/nublado"
"""Prefix of paths, unless it is configured."""

SERVICE_PREFIX = "JUPYTERHUB_SERVICE_PREFIX"
"""Variable with the path at which JupyterHub serves a lab."""

FILES_PREFIX = "/files"
"""Where the page of file servers is, unless it is configured."""

DROPDOWN_SENTINEL = "use_image_from_dropdown"
"""Value of ``image_list`` that defers to ``image_dropdown``."""

DISCOVERY_REFRESH_INTERVAL = 60.0
LAB_FORGOTTEN_INTERVAL = 20.0
KUBERNETES_REQUEST_TIMEOUT = 30.0
"""Intervals and timeouts that the specification fixes, in seconds."""

CONFIGURATION_INTERVAL = 30.0
"""How often the configuration file is looked at again (seconds)."""

NOTICES_INTERVAL = 20.0
"""How often what users are told is read again (seconds)."""

NOTICES_NAME = "nublado-notices"
"""Config map in the controller's namespace that keeps what users are told."""

LAB_STOP_GRACE_SECONDS = 1
POD_STOP_GRACE_SECONDS = 1

LIMIT_TO_REQUEST_RATIO = 4
"""Resource requests are the limits divided by this."""

MEMORY_TO_TMP_RATIO = 4
"""``/tmp`` may hold the memory limit divided by this."""

MAX_BODY_BYTES = 1024 * 1024

STANDARD_CONTAINER_PREFIX = "nublado-std-"
"""How the names of the init containers begin that are not configured."""

STARTUP_DIRECTORY = "/etc/nublado/startup"
"""Where the last init container leaves how the lab is to start."""

DISCOVERY_PATH = "/etc/nublado/discovery/v1.json"
"""Where labs find the answer of the service discovery."""

KUBERNETES_NAME_PATTERN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
"""Matches (with ``fullmatch``) a DNS label, which most object names are."""

REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)
"""Matches (with ``fullmatch``) ids of requests that are taken over from outside."""

USERNAME_PATTERN = re.compile(r"(?!.{33})(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
"""Matches (with ``fullmatch``) the usernames that Gafaelfawr allows.

At most 32 lower-case letters, digits and single inner hyphens, with at least one
letter.
"""

SIZE_NAMES = (
    "fine",
    "diminutive",
    "tiny",
    "small",
    "medium",
    "large",
    "huge",
    "gargantuan",
    "colossal",
    "custom",
)
"""All legal names of lab sizes."""

RESERVED_ENV = frozenset(
    {
        "ACCESS_TOKEN",
        "CONTAINER_SIZE",
        "CPU_GUARANTEE",
        "CPU_LIMIT",
        "DEBUG",
        "EXTERNAL_INSTANCE_URL",
        "IMAGE_DESCRIPTION",
        "IMAGE_DIGEST",
        "JPY_API_TOKEN",
        "JUPYTER_IMAGE",
        "JUPYTER_IMAGE_SPEC",
        "KUBERNETES_NODE_NAME",
        "MEM_GUARANTEE",
        "MEM_LIMIT",
        "NUBLADO_TOKEN",
        "RESET_USER_ENV",
    }
)
"""Environment variables of a lab that the configuration may not set."""

RESERVED_ENV_PREFIX = "JUPYTERHUB_"

RESERVED_PATHS = frozenset({"/etc/group", "/etc/passwd", "/tmp"})  # noqa: S108
"""Paths of a lab over which nothing may be mounted."""
