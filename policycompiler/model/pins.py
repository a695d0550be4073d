"""Which of `celery.settings` can be used as written."""

from __future__ import annotations

from pydantic import JsonValue

from policycompiler.knowledge.celery_settings import SECTIONS, has_type, is_setting
from policycompiler.model.units import is_queue_name


def may_be_pinned(setting: str, value: JsonValue) -> bool:
    """Whether a pin names a Celery setting without a section of its own and has a valid value."""
    queue = setting == "task_default_queue"
    readable = is_setting(setting) and has_type(setting, value) and (not queue or is_queue_name(str(value)))
    return readable and setting not in SECTIONS
