"""A policy file with replacements for its invalid parts, so that one run finds all mistakes."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from policycompiler.diagnostics import Diagnostic, SpecPath
from policycompiler.load import Data, Mapped
from policycompiler.model.policy_file import Custom, PolicyFile

_SEVERITY = "error"
_NEVER = 'app.service == ""'


def readable(data: Mapped, refused: Sequence[Diagnostic]) -> PolicyFile | None:
    """The policy file without its refused parts; None if nothing is left. It judges nothing."""
    left: Mapped = {**data, "version": 1}
    for finding in refused:
        _leave_out(left, finding.path, at_key=finding.at_key)
    try:
        return PolicyFile.model_validate(left)
    except ValidationError:
        return None


def _leave_out(left: Mapped, path: SpecPath, *, at_key: bool) -> None:
    if not path or path[0] not in left:
        return
    section, value = str(path[0]), left[str(path[0])]
    if len(path) == 1:
        del left[section]
    elif isinstance(value, dict):
        rest = {key: each for key, each in value.items() if key != path[1]}
        # The finding with the wrong severity may be unknown too.
        named = {str(path[1]): _SEVERITY} if section == "severities" and not at_key else {}
        left[section] = {**rest, **named}
    elif section == "custom" and isinstance(value, list):
        # Places are counted by position, so an invalid entry keeps its position.
        left[section] = [
            _custom(each, path[2:], index) if index == path[1] else each for index, each in enumerate(value)
        ]
    else:
        del left[section]


def _custom(given: Data, wrong: SpecPath, index: int) -> Mapped:
    """A custom finding; replacements for its invalid or missing parts never fire."""
    said = given if isinstance(given, dict) else {}
    known: Mapped = {
        key: value for key, value in said.items() if key in Custom.model_fields and key not in wrong[:1]
    }
    nothing = {"name": f"unnamed-{index}", "severity": _SEVERITY, "when": _NEVER, "message": "none"}
    return {**nothing, **known}
