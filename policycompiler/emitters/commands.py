"""The command lines of workers and beat, with the same words for every target that starts a process.

A command is a list of lines, each a list of words, so a change of one option changes one line of text.
Words are plain text that the target quotes. If the target inserts its own text (for instance the number of
the process in the node name), the caller passes that word as `Raw`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NamedTuple

from policycompiler.emitters.base import Raw, one_line
from policycompiler.plan import APP, BEAT, Plan, Scope, Setting
from policycompiler.quantities import duration


class RequiredVariable(NamedTuple):
    """An environment variable that a process needs, and its purpose."""

    name: Raw
    purpose: Raw


def comment(text: str) -> Raw:
    """Text for a comment line."""
    return Raw(one_line(text))


def name(text: str) -> Raw:
    """A name that needs no quotes in any target; raises `ValueError` if it does."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", text):
        message = f"not a plain name: {text!r}"
        raise ValueError(message)
    return Raw(text)


def variable(text: str) -> Raw:
    """The name of an environment variable; raises `ValueError` on another text."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        message = f"not the name of an environment variable: {text!r}"
        raise ValueError(message)
    return Raw(text)


def why(setting: Setting) -> Raw:
    """The policy that decided a setting and its reason, for a comment above the setting."""
    return comment(f"{setting.policy}: {setting.because}")


def whole_seconds(plan: Plan, scope: Scope, key: str) -> int:
    """A duration rounded up, for targets that do not support fractions."""
    return math.ceil(plan.number(scope, key))


def worker_facts(plan: Plan, worker: Scope) -> dict[str, object]:
    """The facts about a worker for every target: its name, its description, and how long a stop takes."""
    return {
        "name": name(worker.name),
        "description": comment(plan.text(worker, "description")),
        "stop_timeout": whole_seconds(plan, worker, "stop_timeout_seconds"),
        "stop_wait": comment(duration(whole_seconds(plan, worker, "stop_timeout_seconds"))),
        "stop_timeout_why": why(plan.setting(worker, "stop_timeout_seconds")),
    }


def beat_facts(plan: Plan, *, placed: bool = False) -> dict[str, object]:
    """The facts about beat for every target: its host, unless its file is `placed` there, and its stop."""
    host = None if placed else plan.get(BEAT, "host")
    return {
        "host": name(str(host)) if host else None,
        "stop_timeout": whole_seconds(plan, BEAT, "stop_timeout_seconds"),
        "stop_wait": comment(duration(whole_seconds(plan, BEAT, "stop_timeout_seconds"))),
    }


URL_VARIABLES = {
    "broker_url_variable": "broker",
    "result_backend_variable": "result backend",
    "guard_store_variable": "store of the guards",
}
"""The settings that name the variable of a URL, and what it is the URL of."""


def required_variables(plan: Plan) -> list[RequiredVariable]:
    """The variables with the URLs of broker, result backend and store; none if the workload has the URLs."""
    purposes: dict[str, list[str]] = {}
    for key, purpose in URL_VARIABLES.items():
        found = plan.get(APP, key)
        if found:
            purposes.setdefault(str(found), []).append(purpose)
    return [
        RequiredVariable(variable(found), Raw(" and ".join(purpose))) for found, purpose in purposes.items()
    ]


TELEMETRY_PORTS, TELEMETRY_WORKER = "CELERY_TELEMETRY_PORTS", "CELERY_TELEMETRY_WORKER"
"""The variables that `celeryconfig_telemetry.py` reads: ports, and the name of the worker."""


def worker_environment(plan: Plan, worker: Scope) -> list[tuple[Raw, str]]:
    """The environment variables of a worker: name and value, sorted."""
    written = plan.get(worker, "environment", {})
    assert isinstance(written, dict)
    values = {key: str(value) for key, value in written.items()}
    ports = plan.get(worker, "telemetry_ports")
    if isinstance(ports, list):
        values = {TELEMETRY_PORTS: "-".join(map(str, ports)), TELEMETRY_WORKER: worker.name, **values}
    pool = str(plan.get(worker, "pool"))
    if _is_custom(pool):
        # With `--pool custom` Celery reads the class only from this variable.
        values["CELERY_CUSTOM_WORKER_POOL"] = pool
    return [(variable(key), values[key]) for key in sorted(values)]


def beat_environment(plan: Plan) -> list[tuple[Raw, str]]:
    """The environment variables of beat: name and value."""
    port = plan.get(BEAT, "telemetry_port")
    return [] if port is None else [(variable(TELEMETRY_PORTS), str(port))]


def hosts(plan: Plan) -> list[Scope | None]:
    """The hosts that run something; None stands for all processes without a host."""
    found: list[Scope | None] = [
        host for host in plan.scopes("host") if plan.get(host, "beat") or _placed(plan, host)
    ]
    if not found or processes(plan, None):
        found.append(None)
    return found


def folder_of(host: Scope | None) -> str:
    """The folder with the files of a host, with a slash; no folder for processes without a host."""
    return "" if host is None else f"{name(host.name)}/"


def processes(plan: Plan, host: Scope | None) -> dict[Scope, int]:
    """The workers of a host, each with the number of its processes there."""
    if host is not None:
        return _placed(plan, host)
    placed = {worker for each in plan.scopes("host") for worker in _placed(plan, each)}
    return {
        worker: int(plan.number(worker, "replicas"))
        for worker in plan.scopes("worker")
        if worker not in placed
    }


def runs_beat(plan: Plan, host: Scope | None) -> bool:
    """Whether beat runs on a host; without hosts it runs beside the workers."""
    if host is not None:
        return bool(plan.get(host, "beat"))
    return bool(plan.scopes("beat")) and not any(plan.get(each, "beat") for each in plan.scopes("host"))


def _placed(plan: Plan, host: Scope) -> dict[Scope, int]:
    counts = plan.value(host, "workers")
    assert isinstance(counts, dict)
    return {Scope("worker", worker): int(str(count)) for worker, count in sorted(counts.items())}


class Target(NamedTuple):
    """How a target writes words that it completes when a process starts.

    `numbered`: two texts with the number of the process between them. `variable`: the value of an
    environment variable.
    """

    numbered: Callable[[str, str], str]
    variable: Callable[[str], str]


def worker_command(plan: Plan, worker: Scope, celery: str, target: Target) -> list[list[str]]:
    """The command of one worker process; `celery` is the executable."""
    prefix = plan.get(worker, "command_prefix", [])
    assert isinstance(prefix, list)
    lines = [
        [*map(str, prefix), celery, "--app", _app(plan, worker), "worker"],
        _hostname(plan, worker, target),
        [*_queues(plan, worker, "queues"), *_queues(plan, worker, "exclude_queues")],
        [
            *_pool(plan, worker),
            *_slots(plan, worker, target),
            *_option(plan, worker, "prefetch_multiplier"),
            *_option(plan, worker, "optimization"),
            *_flag(plan, worker, "disable_prefetch"),
        ],
        [
            *_option(plan, worker, "max_tasks_per_child"),
            *_option(plan, worker, "max_memory_per_child"),
            *_option(plan, worker, "time_limit"),
            *_option(plan, worker, "soft_time_limit"),
            *_option(plan, worker, "statedb"),
        ],
        [
            *_flag(plan, worker, "without_gossip"),
            *_flag(plan, worker, "without_mingle"),
            *_flag(plan, worker, "without_heartbeat"),
            *_option(plan, worker, "heartbeat_interval"),
        ],
        [*_flag(plan, worker, "task_events", "--events"), *_option(plan, worker, "log_level", "--loglevel")],
    ]
    return [line for line in lines if line]


def _app(plan: Plan, scope: Scope) -> str:
    """The app of a process: its own, or that of the workload."""
    own = plan.get(scope, "app")
    return plan.text(APP, "app") if own is None else str(own)


def _hostname(plan: Plan, worker: Scope, target: Target) -> list[str]:
    """The node name, with the number of the process where several may share a host; none by default."""
    found = plan.get(worker, "node_name")
    if found is None:
        return []
    before, after = f"{found}.", ".%h"
    if plan.get(worker, "node_name_is_whole"):
        if plan.number(worker, "replicas") <= 1:
            return ["--hostname", str(found)]
        name_, _, host = str(found).partition("@")
        before, after = f"{name_}.", f"@{host}"
    return ["--hostname", Raw(target.numbered(before, after))]


def _queues(plan: Plan, worker: Scope, key: str) -> list[str]:
    return [] if plan.find(worker, key) is None else [_option_name(key), ",".join(plan.texts(worker, key))]


def _pool(plan: Plan, worker: Scope) -> list[str]:
    pool = plan.get(worker, "pool")
    return [] if pool is None else ["--pool", "custom" if _is_custom(str(pool)) else str(pool)]


def beat_command(plan: Plan, celery: str, schedule: str) -> list[list[str]]:
    """The command of beat; `schedule` is the file in which it stores the time of each last run."""
    lines = [
        [celery, "--app", _app(plan, BEAT), "beat"],
        # An empty pidfile means none: the process manager ensures that only one beat runs.
        [*_option(plan, BEAT, "scheduler"), *_schedule_file(plan, schedule), "--pidfile="],
        [
            *_max_interval(plan),
            *_option(plan, BEAT, "log_level", "--loglevel"),
        ],
    ]
    return [line for line in lines if line]


def _schedule_file(plan: Plan, schedule: str) -> list[str]:
    """The file of the schedule, unless the scheduler has another store."""
    return ["--schedule", schedule] if plan.get(BEAT, "store", "file") == "file" else []


def _is_custom(pool: str) -> bool:
    """Whether a pool is a class of the user, `dotted.path:Class`."""
    return ":" in pool or "." in pool


def _slots(plan: Plan, worker: Scope, target: Target) -> list[str]:
    source = plan.get(worker, "concurrency_source")
    if source == "cores":
        return []
    if source is not None:
        text = str(source)
        found = variable(text[2:-1]) if text.startswith("${") else None
        return ["--concurrency", text if found is None else Raw(target.variable(found))]
    autoscale = plan.get(worker, "autoscale")
    if isinstance(autoscale, dict):
        return ["--autoscale", f"{autoscale['max']},{autoscale['min']}"]
    return _option(plan, worker, "concurrency")


def _max_interval(plan: Plan) -> list[str]:
    if plan.get(BEAT, "max_interval_seconds") is None:
        return []
    return ["--max-interval", str(whole_seconds(plan, BEAT, "max_interval_seconds"))]


def _option(plan: Plan, scope: Scope, key: str, option: str = "") -> list[str]:
    """An option with its value, or nothing if the plan has none. The default option name is the key."""
    value = plan.get(scope, key)
    return [] if value is None else [option or _option_name(key), str(value)]


def _flag(plan: Plan, scope: Scope, key: str, option: str = "") -> list[str]:
    return [option or _option_name(key)] if plan.get(scope, key) else []


def _option_name(key: str) -> str:
    return "--" + key.replace("_", "-")
