"""Messages that no worker accepts, and results that no client accepts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from policycompiler.hazards.hazard import Hazard
from policycompiler.plan import APP, Plan, Scope

ACCEPTED, RESULTS_ACCEPTED = "accept_content", "result_accept_content"
CONTENT_TYPES = {
    "auth": "application/data",
    "json": "application/json",
    "msgpack": "application/x-msgpack",
    "pickle": "application/x-python-serialize",
    "yaml": "application/x-yaml",
}
"""`accept_content` takes either name (kombu.serialization)."""


def serialization(plan: Plan, senders: Iterable[str] | None = None) -> Iterator[Hazard]:
    """Messages that no worker accepts, and results that no client can read.

    `senders` are the serializers of messages, if the plan does not have all of them yet.
    """
    said = _senders(plan)
    for serializer in said if senders is None else senders:
        if not _accepts(plan, ACCEPTED, serializer):
            message = (
                f"tasks use serializer `{serializer}`, which `{ACCEPTED}` does not list, so no worker "
                "accepts them"
            )
            settings = ((APP, ACCEPTED), said.get(serializer, (APP, "task_serializer")))
            path = ("celery", "settings", ACCEPTED)
            help_text = f"add `{serializer}` to `{ACCEPTED}`"
            yield Hazard("serializer-not-accepted", settings, message, help_text, path)
    if plan.get(APP, "result_backend_kind", "none") != "none":
        yield from _unreadable(plan)


def _senders(plan: Plan) -> dict[str, tuple[Scope, str]]:
    """The serializers of messages, each with the first setting that names it."""
    found = {plan.text(APP, "task_serializer"): (APP, "task_serializer")}
    for task in plan.scopes("task"):
        if (name := plan.get(task, "options.serializer")) is not None:
            found.setdefault(str(name), (task, "options.serializer"))
    for schedule in plan.scopes("schedule"):
        options = plan.get(schedule, "options")
        if isinstance(options, dict) and options.get("serializer") is not None:
            found.setdefault(str(options["serializer"]), (schedule, "options"))
    return found


def _unreadable(plan: Plan) -> Iterator[Hazard]:
    serializer = plan.text(APP, "result_serializer")
    key = RESULTS_ACCEPTED if plan.get(APP, RESULTS_ACCEPTED) is not None else ACCEPTED
    if not _accepts(plan, key, serializer):
        message = (
            f"results use serializer `{serializer}`, which `{key}` does not list, so no client can read them"
        )
        help_text = f"add `{serializer}` to `{key}`, or pin a `result_serializer` from that list"
        settings = ((APP, key), (APP, "result_serializer"))
        yield Hazard("result-not-accepted", settings, message, help_text, ("celery", "settings", key))


def _accepts(plan: Plan, key: str, serializer: str) -> bool:
    accepted = plan.get(APP, key)
    return not isinstance(accepted, list) or bool({serializer, CONTENT_TYPES.get(serializer)} & {*accepted})
