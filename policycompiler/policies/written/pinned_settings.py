"""What is pinned under `celery.settings` must be a setting of the Celery that runs, with a value of its type.

Decides:
    Nothing.

Because:
    Celery takes any name and any value and says nothing: a misspelt setting, one that this version does not
    have yet, and `"60"` for a number all look as if they worked. Only a mixture of today's names and those
    from before Celery 4 is refused, when the worker starts
    (https://docs.celeryq.dev/en/stable/userguide/configuration.html#new-lowercase-settings). Which names
    there are is read from each version of Celery itself.

Example:
    celery: {version: "5.4", settings: {worker_soft_shutdown_timeout: 10}}

    refuses setting-newer-than-target

Refuses:
    PC601 unknown-setting: correct the name, or remove what Celery no longer has; it ignores it in silence.
        fires: celery: {settings: {worker_proc_alive_timeouts: 20}}
        silent: celery: {settings: {worker_proc_alive_timeout: 20}}
    PC602 wrong-setting-type: correct the value; Celery would keep the wrong type in silence.
        fires: celery: {settings: {worker_proc_alive_timeout: "20"}}
        silent: celery: {settings: {worker_proc_alive_timeout: 20}}
    PC603 setting-has-a-section: say it in the section of the workload that it belongs to.
        fires: celery: {settings: {task_routes: {}}}
        silent: tasks: {shop.a: {queue: search}}
    PC632 mixed-setting-names: write today's name.
        fires: celery: {settings: {CELERYD_TASK_LOG_FORMAT: "%(message)s"}}
        silent: celery: {settings: {worker_task_log_format: "%(message)s"}}
    PC633 setting-newer-than-target: remove it, or run a Celery that has it.
        fires: celery: {version: "5.4", settings: {worker_soft_shutdown_timeout: 10}}
        silent: celery: {version: "5.5", settings: {worker_soft_shutdown_timeout: 10}}
    PC634 setting-deprecated: use what is named instead.
        fires: celery: {settings: {task_acks_on_failure_or_timeout: true}}
        silent: celery: {version: "5.6", settings: {task_acks_on_failure_or_timeout: true}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policycompiler.diagnostics import (
    Diagnostic,
    Fix,
    Rename,
    SpecPath,
    did_you_mean,
    error,
    misspelt,
    warning,
)
from policycompiler.knowledge import celery_settings as celery
from policycompiler.model import Workload, advice, examples, words
from policycompiler.model.pins import may_be_pinned
from policycompiler.plan import APP, Plan, Value

NAME = "pinned-settings"

UNKNOWN_SETTING = error("PC601", "unknown-setting")
WRONG_SETTING_TYPE = error("PC602", "wrong-setting-type")
SETTING_HAS_A_SECTION = error("PC603", "setting-has-a-section")
MIXED_SETTING_NAMES = error("PC632", "mixed-setting-names")
SETTING_NEWER_THAN_TARGET = error("PC633", "setting-newer-than-target")
SETTING_DEPRECATED = warning("PC634", "setting-deprecated")

_SETTINGS: SpecPath = ("celery", "settings")
_PUBLISH_RETRY = "task_publish_retry_policy"
_BOTH_FLAGS = "task_acks_on_failure_or_timeout"
"""Pinned to false it does harm, which failure-acknowledgement says."""


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Judge each by itself; what is refused for its name or type is not decided."""
    settings = (spec.celery and spec.celery.settings) or {}
    version = plan.text(APP, "celery_version")
    for key, value in settings.items():
        if key in celery.SECTIONS:
            yield _has_a_section(key, key)
        elif not celery.is_setting(key):
            yield _no_setting(key, settings)
        elif not may_be_pinned(key, value):
            yield _wrong_type(key, value)
        else:
            yield from _of_this_celery(key, value, version)
            if key == _PUBLISH_RETRY:
                yield from _publish_retry(value, version)


def _no_setting(key: str, settings: Mapping[str, Value]) -> Diagnostic:
    """A name from before Celery 4, one with the prefix that the compiler writes itself, or none at all."""
    old = celery.new_names().get(key.upper())
    today = old or _without_namespace(key)
    if today in celery.SECTIONS:
        return _has_a_section(key, today)
    path = (*_SETTINGS, key)
    fix: Fix = () if today is None or today in settings else (Rename(path, today),)
    if old is None:
        message = f"`{key}` is no Celery setting; Celery would ignore it in silence"
        help_text = f"write `{today}`; a namespace is said in `celery.namespace`" if today else ""
        help_text = help_text or _meant(key.lower())
        return UNKNOWN_SETTING.at(path, message, help=help_text, at_key=True, fix=fix)
    if key == key.upper():
        message = (
            f"before Celery 4 `{old}` was called `{key}`; beside today's names Celery refuses it at the start"
        )
    else:
        message = (
            f"before Celery 4 `{old}` was called `{key.upper()}`; Celery would ignore `{key}` in silence"
        )
    return MIXED_SETTING_NAMES.at(path, message, help=f"write `{old}`", at_key=True, fix=fix)


def _meant(key: str) -> str:
    """A misspelling, a setting without the word that its section begins with, or what is said elsewhere."""
    known = celery.known_settings()
    if key in words.SETTINGS:
        return words.SETTINGS[key]
    near = misspelt(key, known) or next((name for name in _with_section(key) if name in known), None)
    if near in celery.SECTIONS:
        return f"say it in `{celery.SECTIONS[near]}`"
    if near:
        return f"did you mean `{near}`?"
    found = advice.elsewhere(key) or did_you_mean(key, known)
    return found or "Celery has no setting of a similar name"


def _with_section(key: str) -> Iterator[str]:
    """`task_acks_late` of `acks_late`."""
    return (
        f"{section}_{key}" for section in ("task", "worker", "broker", "result", "beat", "event", "redis")
    )


def _without_namespace(key: str) -> str | None:
    for name in (key.lower(), key.lower().removeprefix("celery_")):
        if celery.is_setting(name) or name in celery.SECTIONS:
            return name
    return None


def _has_a_section(key: str, today: str) -> Diagnostic:
    section = celery.SECTIONS[today]
    message = f"`{key}` is decided from `{section}`"
    return SETTING_HAS_A_SECTION.at((*_SETTINGS, key), message, help=f"say it in `{section}`", at_key=True)


def _wrong_type(key: str, value: Value) -> Diagnostic:
    path = (*_SETTINGS, key)
    if celery.has_type(key, value):
        return WRONG_SETTING_TYPE.at(path, f"`{key}` is the name of a queue", help="write a queue's name")
    expected = celery.expected_type(key)
    message = f"`{key}` is {expected}; Celery would keep the wrong type in silence"
    number = (
        examples.number_help(value, _unit(key)) if "number" in expected and isinstance(value, str) else ""
    )
    return WRONG_SETTING_TYPE.at(path, message, help=number or f"write {expected}")


def _unit(key: str) -> str:
    """What the numbers of a setting count, where text with a unit may be meant for them."""
    return "in KiB" if "memory" in key else "in seconds"


def _of_this_celery(key: str, value: Value, version: str) -> Iterator[Diagnostic]:
    path = (*_SETTINGS, key)
    having = celery.versions_of("settings", key)
    target = celery.nearest(version)
    facts = celery.known("settings", version).get(key, {})
    if having and target not in having:
        if celery.number_of(having[-1]) < celery.number_of(target):
            message = f"`{key}` went after Celery {having[-1]}; Celery {version} would ignore it in silence"
            yield UNKNOWN_SETTING.at(path, message, help="remove it", at_key=True)
        else:
            first = next(each for each in having if celery.number_of(each) > celery.number_of(target))
            message = f"`{key}` is new in Celery {first}; Celery {version} would ignore it in silence"
            help_text = f"remove it, or run Celery {first} or newer"
            yield SETTING_NEWER_THAN_TARGET.at(path, message, help=help_text, at_key=True)
    elif "deprecate_by" in facts and not (key == _BOTH_FLAGS and value is False):
        going = f"; Celery {facts['remove_by']} will not have it" if "remove_by" in facts else ""
        message = f"`{key}` is deprecated in Celery {version}{going}"
        help_text = f"use {facts['alt']}" if "alt" in facts else "remove it"
        yield SETTING_DEPRECATED.at(path, message, help=help_text, at_key=True)


def _publish_retry(policy: Value, version: str) -> Iterator[Diagnostic]:
    """The words of a policy are arguments of a function: one that it does not take fails every publish."""
    known = celery.known("nested:retry_policy", version)
    for word in policy if isinstance(policy, dict) else ():
        if word not in known:
            message = f"`{word}` is no part of a retry policy; publishing would fail with a TypeError"
            help_text = did_you_mean(word, known) or f"known are {', '.join(sorted(known))}"
            yield UNKNOWN_SETTING.at((*_SETTINGS, _PUBLISH_RETRY, word), message, help=help_text, at_key=True)
