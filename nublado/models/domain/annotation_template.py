"""Annotations that are written as templates, with what is known of a user.

The templates come from the configuration. They are rendered in a sandbox all the
same: nobody expects a configuration to run code.

References
----------
https://jinja.palletsprojects.com/en/stable/sandbox/
"""

from __future__ import annotations

from functools import lru_cache

from jinja2 import StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

__all__ = ["checked_template", "render_annotation"]

_VARIABLES = frozenset({"uid", "gid"})

_environment = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True
)
_environment.globals.clear()


def checked_template(text: str) -> str:
    """Check a template.

    Raises
    ------
    ValueError
        Raised if it cannot be parsed or rendered, or uses anything but ``uid``
        and ``gid``.
    """
    try:
        used = meta.find_undeclared_variables(_environment.parse(text))
        unknown = ", ".join(sorted(used - _VARIABLES))
        if unknown:
            raise ValueError(f"must use uid and gid only, not {unknown}")
        render_annotation(text, uid=1, gid=1)
    except (ArithmeticError, RecursionError, TemplateError, TypeError) as e:
        raise ValueError(f"must be a template such as '{{{{ uid }}}}': {e}") from e
    return text


def render_annotation(text: str, *, uid: int, gid: int) -> str:
    """Render a template that has been checked, for a user and their group."""
    return _template(text).render(uid=uid, gid=gid)


@lru_cache(maxsize=256)
def _template(text: str) -> Template:
    return _environment.from_string(text)
