"""Rights of the chart, without Helm."""

from __future__ import annotations

import re
from pathlib import Path

_RBAC = (
    Path(__file__).parent.parent.parent
    / "conf"
    / "helm"
    / "nublado"
    / "templates"
    / "rbac.yaml"
)
_IF = r'\{\{- if include "nublado\.%sEnabled" \. \}\}\n(.*?)\n\{\{- end \}\}'
_LABELS = re.compile(r"  labels:\n    \{\{- include .*\n")


def render_rbac(namespace: str, *enabled: str) -> str:
    """Render roles and bindings.

    Parameters
    ----------
    namespace
        Namespace of the release, and its name.
    enabled
        Parts of the configuration that are enabled, such as ``fsadmin``.
    """
    text = _LABELS.sub("", _RBAC.read_text())
    for part in ("files", "fsadmin"):
        kept = r"\1" if part in enabled else ""
        text = re.sub(_IF % part, kept, text, flags=re.DOTALL)
    for name in ("Name", "Namespace"):
        text = text.replace(f"{{{{ .Release.{name} }}}}", namespace)
    assert "{{" not in text, text
    return text
