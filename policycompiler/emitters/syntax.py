"""How templates are read. It imports no module of this package: the build of a wheel uses it."""

from typing import Any

OPTIONS: dict[str, Any] = {
    "trim_blocks": True,
    "lstrip_blocks": True,
    "keep_trailing_newline": True,
    "autoescape": False,
}
"""Arguments of Jinja2's environment."""


def compiled_folder(jinja2_version: str) -> str:
    """The folder of a wheel with its templates compiled by one version of Jinja2."""
    return f"templates-jinja2-{jinja2_version}"
