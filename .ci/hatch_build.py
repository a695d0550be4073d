"""Compiles the templates ahead into the wheel: at each start of the program that takes a tenth of it.

What Jinja2 makes of a template is for that version of Jinja2 alone, so the folder is named after it; with
another one, and in a checkout, the program compiles the templates when it uses them.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import jinja2
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledTemplates(BuildHookInterface[Any]):
    """Adds the compiled templates to a wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile them into a folder of their own."""
        if version == "editable":
            return
        root = Path(self.root)
        syntax = runpy.run_path(str(root / "policycompiler" / "emitters" / "syntax.py"))
        environment = jinja2.Environment(  # noqa: S701 - no HTML here
            loader=jinja2.FileSystemLoader(root / "templates"),
            finalize=lambda value: value,  # that there is one is compiled in; which one is not
            **syntax["OPTIONS"],
        )
        self.made = mkdtemp()
        environment.compile_templates(
            self.made,
            zip=None,
            filter_func=lambda name: not name.startswith("init/"),
            ignore_errors=False,
        )
        folder = syntax["compiled_folder"](jinja2.__version__)
        build_data["force_include"][self.made] = f"policycompiler/{folder}"
