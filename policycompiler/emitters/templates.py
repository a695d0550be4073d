"""Templates, and a quoting environment for each of their text formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import jinja2
from jinja2 import Environment, FileSystemLoader, ModuleLoader, StrictUndefined
from jinja2.runtime import Undefined

from policycompiler.emitters.base import Raw, shipped
from policycompiler.emitters.syntax import OPTIONS, compiled_folder


@cache
def environment(quote: Callable[[object], str]) -> Environment:
    """A Jinja2 environment in which every value is rendered by `quote`; undefined names fail."""

    def finalize(value: object) -> str:
        # A finalize function disables StrictUndefined unless the function itself fails.
        if isinstance(value, Undefined):
            value._fail_with_undefined_error()  # noqa: SLF001 - Jinja2's own hook for this
        return value if isinstance(value, Raw) else quote(value)

    written = shipped("templates")
    compiled = written.with_name(compiled_folder(jinja2.__version__))
    loader = ModuleLoader(compiled) if compiled.is_dir() else FileSystemLoader(written)
    return Environment(  # noqa: S701 - no HTML here; finalize quotes for the target's own format
        loader=loader, undefined=StrictUndefined, finalize=finalize, **OPTIONS
    )


def render(template: str, quote: Callable[[object], str], context: Mapping[str, object]) -> str:
    """Render `templates/<template>` with every value quoted by `quote`."""
    return environment(quote).get_template(template).render(context)
