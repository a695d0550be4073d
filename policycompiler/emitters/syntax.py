"""How templates are read. It imports nothing of ours: the build of a wheel reads it, and compiles them."""

from typing import Any

OPTIONS: dict[str, Any] = {
    "trim_blocks": True,
    "lstrip_blocks": True,
    "keep_trailing_newline": True,
    "autoescape": False,
}
"""Arguments of Jinja2's environment."""


def compiled_folder(jinja2_version: str) -> str:
    """The folder of a wheel, beside its templates, with what one version of Jinja2 made of them."""
    return f"templates-jinja2-{jinja2_version}"
