"""The settings of a scope, each with the policy that decided it, its reason and its origins."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from policycompiler.plan import Origin, Parameter, Scope, Setting, Written, vocabulary
from policycompiler.report.explain import origin_words
from policycompiler.report.page.html import Part, code, tag
from policycompiler.report.page.subject import Subject
from policycompiler.report.text import clipped
from policycompiler.report.values import value_text

MOST_ORIGINS = 4
"""Origins of one setting that the page shows; `explain` shows all."""
LONGEST_VALUE = 200


def settings(subject: Subject, scope: Scope) -> Element:
    """The settings of a scope in the order of the vocabulary, without those that repeat others."""
    keys = subject.plan.keys(scope)
    order = [each.name for each in vocabulary.declared(scope.kind) if not each.mirror]
    named = {each.name for each in vocabulary.declared(scope.kind)}
    shown = [*(name for name in order if name in keys), *sorted(keys.keys() - named)]
    return tag("dl", [_setting(subject, keys[key]) for key in shown], css="settings")


def _setting(subject: Subject, setting: Setting) -> Element:
    value = clipped(value_text(setting.scope, setting.key, setting.value), LONGEST_VALUE)
    reason: list[Part] = [
        setting.because[:1].upper() + setting.because[1:],
        tag("small", f" — {setting.policy}"),
    ]
    return tag(
        "div",
        tag("dt", code(setting.key.removeprefix("options."))),
        tag("dd", code(value), css="value"),
        tag("dd", tag("p", reason), _origins(subject, setting), css="why"),
    )


def _origins(subject: Subject, setting: Setting) -> Element:
    found = [_origin(subject, setting, origin) for origin in setting.origins[:MOST_ORIGINS]]
    others = len(setting.origins) - len(found)
    rest = tag("li", f"and {others} more") if others > 0 else None
    return tag("ul", found, rest)


def _origin(subject: Subject, setting: Setting, origin: Origin) -> Element:
    if isinstance(origin, Written) and not subject.sourced:
        # A plan from a file has the paths of its workload, but not their lines.
        return tag("li", code(".".join(map(str, origin.path))))
    what, where = origin_words(subject.plan, subject.document, setting, origin)
    known = subject.sourced or not isinstance(origin, Parameter)
    return tag("li", what, tag("small", f" ({where})") if known else None)
