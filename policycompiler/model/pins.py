"""Which of `celery.settings` can be taken over as they are written."""

from __future__ import annotations

from pydantic import JsonValue

from policycompiler.knowledge.celery_settings import SECTIONS, has_type, is_setting
from policycompiler.model.units import is_name


def may_be_pinned(setting: str, value: JsonValue) -> bool:
    """Whether a pinned setting is one, is not decided elsewhere, and has a value that can be read."""
    queue = setting == "task_default_queue"
    readable = is_setting(setting) and has_type(setting, value) and (not queue or is_name(str(value)))
    return readable and setting not in SECTIONS
