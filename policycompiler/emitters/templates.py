"""Templates, and the quoting environments of the text formats that they are of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.runtime import Undefined

from policycompiler.emitters.base import Raw, shipped


@cache
def environment(quote: Callable[[object], str]) -> Environment:
    """A Jinja2 environment in which every value is rendered by `quote`; undefined names fail."""

    def finalize(value: object) -> str:
        # A finalize function switches StrictUndefined off unless it fails by itself.
        if isinstance(value, Undefined):
            value._fail_with_undefined_error()  # noqa: SLF001 - Jinja2's own hook for this
        return value if isinstance(value, Raw) else quote(value)

    return Environment(
        loader=FileSystemLoader(shipped("templates")),
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - no HTML here; finalize quotes for the target's own format
    )


def render(template: str, quote: Callable[[object], str], context: Mapping[str, object]) -> str:
    """Render `templates/<template>` with every value quoted by `quote`."""
    return environment(quote).get_template(template).render(context)
