"""Pins under `celery.settings` must be settings of the workload's Celery, with values of the right type.

Decides:
    Nothing.

Because:
    Celery silently accepts any name and any value. A misspelt setting, a setting of a newer version, and
    `"60"` for a number all look as if they worked. Celery refuses only a mixture of today's names and names
    from before Celery 4, when the worker starts
    (https://docs.celeryq.dev/en/stable/userguide/configuration.html#new-lowercase-settings). The known names
    come from each version of Celery itself.

Example:
    celery: {version: "5.4", settings: {worker_soft_shutdown_timeout: 10}}

    refuses setting-newer-than-target

Refuses:
    PC601 unknown-setting: correct the name, or remove the setting if Celery no longer has it.
        fires: celery: {settings: {worker_proc_alive_timeouts: 20}}
        silent: celery: {settings: {worker_proc_alive_timeout: 20}}
    PC602 wrong-setting-type: correct the value; Celery silently keeps a wrong type.
        fires: celery: {settings: {worker_proc_alive_timeout: "20"}}
        silent: celery: {settings: {worker_proc_alive_timeout: 20}}
    PC603 setting-has-a-section: declare it in its own section of the workload.
        fires: celery: {settings: {task_routes: {}}}
        silent: tasks: {shop.a: {queue: search}}
    PC632 mixed-setting-names: write today's name.
        fires: celery: {settings: {CELERYD_TASK_LOG_FORMAT: "%(message)s"}}
        silent: celery: {settings: {worker_task_log_format: "%(message)s"}}
    PC633 setting-newer-than-target: remove it, or run a Celery that has it.
        fires: celery: {version: "5.4", settings: {worker_soft_shutdown_timeout: 10}}
        silent: celery: {version: "5.5", settings: {worker_soft_shutdown_timeout: 10}}
    PC634 setting-deprecated: use the setting that the help names.
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
"""Pinned to false it does harm, which failure-acknowledgement reports."""


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check each setting separately; a setting with a wrong name or type is not decided."""
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
    """A name from before Celery 4, a name with the prefix that the compiler adds, or an unknown name."""
    old = celery.new_names().get(key.upper())
    today = old or _without_namespace(key)
    if today in celery.SECTIONS:
        return _has_a_section(key, today)
    path = (*_SETTINGS, key)
    fix: Fix = () if today is None or today in settings else (Rename(path, today),)
    if old is None:
        message = f"`{key}` is not a Celery setting: Celery silently ignores it"
        help_text = f"write `{today}`, and declare a namespace in `celery.namespace`" if today else ""
        help_text = help_text or _meant(key.lower())
        return UNKNOWN_SETTING.at(path, message, help=help_text, at_key=True, fix=fix)
    if key == key.upper():
        message = (
            f"`{key}` was the name of `{old}` before Celery 4: Celery does not start if both old and new "
            "names are set"
        )
    else:
        message = f"`{key.upper()}` was the name of `{old}` before Celery 4; Celery silently ignores `{key}`"
    return MIXED_SETTING_NAMES.at(path, message, help=f"write `{old}`", at_key=True, fix=fix)


def _meant(key: str) -> str:
    """Help for a misspelling, a setting without its section's prefix, or a value with its own section."""
    known = celery.known_settings()
    if key in words.SETTINGS:
        return words.SETTINGS[key]
    near = misspelt(key, known) or next((name for name in _with_section(key) if name in known), None)
    if near in celery.SECTIONS:
        return f"declare it in `{celery.SECTIONS[near]}`"
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
    message = f"`{key}` cannot be pinned: `{section}` decides it"
    help_text = f"declare it in `{section}`"
    return SETTING_HAS_A_SECTION.at((*_SETTINGS, key), message, help=help_text, at_key=True)


def _wrong_type(key: str, value: Value) -> Diagnostic:
    path = (*_SETTINGS, key)
    if celery.has_type(key, value):
        message = f"`{key}` must be the name of a queue"
        return WRONG_SETTING_TYPE.at(path, message, help="write a queue's name")
    expected = celery.expected_type(key)
    message = f"`{key}` must be {expected}: Celery silently keeps a wrong type"
    number = (
        examples.number_help(value, _unit(key)) if "number" in expected and isinstance(value, str) else ""
    )
    return WRONG_SETTING_TYPE.at(path, message, help=number or f"write {expected}")


def _unit(key: str) -> str:
    """The unit of a setting's numbers, to convert text with a unit."""
    return "in KiB" if "memory" in key else "in seconds"


def _of_this_celery(key: str, value: Value, version: str) -> Iterator[Diagnostic]:
    path = (*_SETTINGS, key)
    having = celery.versions_of("settings", key)
    target = celery.nearest(version)
    facts = celery.known("settings", version).get(key, {})
    if having and target not in having:
        if celery.number_of(having[-1]) < celery.number_of(target):
            message = (
                f"Celery {having[-1]} is the last version with `{key}`: Celery {version} silently ignores it"
            )
            yield UNKNOWN_SETTING.at(path, message, help=f"remove `{key}`", at_key=True)
        else:
            first = next(each for each in having if celery.number_of(each) > celery.number_of(target))
            message = f"`{key}` is new in Celery {first}: Celery {version} silently ignores it"
            help_text = f"remove `{key}`, or run Celery {first} or newer"
            yield SETTING_NEWER_THAN_TARGET.at(path, message, help=help_text, at_key=True)
    elif "deprecate_by" in facts and not (key == _BOTH_FLAGS and value is False):
        going = f"; Celery {facts['remove_by']} removes it" if "remove_by" in facts else ""
        message = f"`{key}` is deprecated in Celery {version}{going}"
        help_text = f"use {facts['alt']}" if "alt" in facts else f"remove `{key}`"
        yield SETTING_DEPRECATED.at(path, message, help=help_text, at_key=True)


def _publish_retry(policy: Value, version: str) -> Iterator[Diagnostic]:
    """The keys of a policy are arguments of a function: an unknown key makes every publish fail."""
    known = celery.known("nested:retry_policy", version)
    for word in policy if isinstance(policy, dict) else ():
        if word not in known:
            message = f"`{word}` is not a key of a retry policy: every publish fails with a TypeError"
            help_text = did_you_mean(word, known) or f"use one of the known keys: {', '.join(sorted(known))}"
            yield UNKNOWN_SETTING.at((*_SETTINGS, _PUBLISH_RETRY, word), message, help=help_text, at_key=True)
