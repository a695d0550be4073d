"""The sections of a workload as YAML text, with the place where each entry was seen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import yaml

from policycompiler.adopt.sections import Fields
from policycompiler.plan import Plan, Scope
from policycompiler.reality.today import place_of

_WIDTH = 100
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.:@%$/{}*-]*|\d+(\.\d+)?(ms|s|m|h|d|/[smhd])")
_OTHER_THAN_TEXT = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


class _Dumper(yaml.SafeDumper):
    """Texts that another reader may take for a number or a flag are quoted."""

    def ignore_aliases(self, data: object) -> bool:
        """Repeat equal values instead of writing anchors."""
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(text) and text.lower() not in _OTHER_THAN_TEXT
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def dumped(data: Mapping[str, object], indent: int = 0, *, flow: bool | None = None) -> str:
    """A mapping as YAML, its innermost mappings on one line each."""
    text = yaml.dump(
        dict(data),
        Dumper=_Dumper,
        default_flow_style=flow,
        sort_keys=False,
        allow_unicode=True,
        width=_WIDTH - indent,
    )
    margin = " " * indent
    return "".join(f"{margin}{line}\n" for line in text.splitlines())


def file_text(
    title: str, head: Fields, sections: Mapping[str, Sequence[tuple[Scope, Fields]]], plan: Plan
) -> str:
    """One file of a workload: its fields, and its entries, each below the place where it was seen."""
    parts = [f"# {title}\n"]
    for key, value in head.items():
        # A mapping with nothing but plain values would be on one line with its key.
        parts.append(dumped({key: value}) if isinstance(value, dict) else dumped({key: value}, flow=False))
    for section, entries in sections.items():
        parts.append(f"\n{section}:\n")
        for scope, fields in entries:
            parts += [f"  # {line}\n" for line in places(plan, scope)]
            parts.append(dumped({scope.name: fields}, indent=2))
    return "".join(parts)


def places(plan: Plan, scope: Scope) -> list[str]:
    """Where a scope was seen, and those of its settings that were seen somewhere else."""
    settings = list(plan.keys(scope).values())
    if not settings:
        return []
    first = place_of(settings[0])
    base = first.partition(" (")[0]
    others: dict[str, list[str]] = {}
    for setting in settings:
        place = place_of(setting)
        if place != first:
            told = place.removeprefix(f"{base} ")
            told = told[1:-1] if told.startswith("(") else told
            others.setdefault(told, []).append(setting.key.rpartition(".")[2])
    apart = [f"{_listed(keys)}: {place}" for place, keys in others.items() if place != "decorator"]
    return [_one_line("; ".join([first, *apart]))]


def _listed(keys: Iterable[str]) -> str:
    return ", ".join(sorted(keys))


def _one_line(text: str) -> str:
    """Text that cannot end its comment."""
    return "".join(each if each.isprintable() else " " for each in text)
