"""Workloads of eight real Celery deployments, made from fact sheets.

`python tests/corpus/make.py SHEETS` reads `SHEETS/NAME.yaml`, one a deployment, and writes
`tests/corpus/NAME/workload.yaml`; the same sheets give the same bytes. A sheet lists what was found in the
sources of one commit: settings, tasks with the options of their decorators, routes, schedules, workers'
commands. Only such facts are carried over, none of a sheet's sentences; what it does not know is absent:

- A task's queue is its decorator's, else that of the route with its name, else of the first route whose glob
  matches, else the default queue, which `defaults` says once. The globs stand too, for tasks still to come.
- Options keep their names, those of a task's base class included. `retry_kwargs: {max_retries: 5}` is
  `max_retries: 5`. A list of exceptions is left out where the sheet does not give the module of each: the
  decorator's own list then stands.
- A value that the environment gives at the start is its default; without one it is absent. A URL stays a
  variable, Celery's usual one where the code puts the URL together.
- A worker's `--time-limit` is left out: where the app has a limit, Celery 5.7 sends that with the message.
- A schedule without a name has its task's. Names for people (`Check Reorgs`) become names of the language.
- Log files, pid files and users of the process are for the process manager, and a node's host part is the
  compiler's, so none of them appears.
- What there is only in another set-up (a development file, a second service manager) is an environment.

`ABOUT` holds what the sheets say in words. The policy files beside the workloads are written by hand.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from celery.app.defaults import NAMESPACES, flatten

Facts = dict[str, Any]

WIDTH = 108
ABSENT = object()
SETTINGS = {name for name, _ in flatten(NAMESPACES)}
SECTIONS = {
    "beat_scheduler",
    "broker_transport",
    "broker_transport_options",
    "broker_url",
    "result_backend",
    "task_annotations",
}
"""Settings that the language says in sections of their own."""
OLD_NAMES = {"default_queue": "task_default_queue", "create_missing_queues": "task_create_missing_queues"}
FROM_CELERY = {name: f"celery.exceptions.{name}" for name in ("SoftTimeLimitExceeded", "TimeLimitExceeded")}
PERIODS = {"one_hour_in_seconds": 3600, "one_day_in_seconds": 86400, "thirty_days_in_seconds": 2592000}
CRON_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
CODE = {"base", "bind", "max_retry", "on_failure"}
"""Of a decorator: what is code, and one misspelt option that Celery ignores."""
DEFAULT = re.compile(
    r"(?:int\()?(?:os\.environ\.get|getenv|env(?:\.\w+)?|config)"
    r"\('\w+', (?:default=)?(?P<value>'[^']*'|\w+)(?:, cast=\w+)?\)\)?"
)
"""How the eight read an environment variable with a default."""


class About(NamedTuple):
    """What a sheet says in words, or leaves to its reader."""

    broker: Facts
    results: Facts | None = None
    celery: str = ""
    """The Celery that runs; empty where nothing tells."""
    namespace: str = ""
    app: str = ""
    settings: Mapping[str, object] = {}
    defaults: Mapping[str, object] = {}
    tasks: Mapping[str, object] = {}
    queues: Mapping[str, object] = {}
    workers: Mapping[str, Facts | None] = {}
    """By the worker's name in the sheet, what to add; null leaves it to an environment."""
    schedules: Mapping[str, Facts] = {}
    subclasses: Mapping[str, str] = {}
    expressions: Mapping[str, object] = {}
    environments: Mapping[str, Facts] = {}


BROKER_URL = "${CELERY_BROKER_URL}"
REDIS_RESULTS = {"backend": "redis", "url": "${CELERY_RESULT_BACKEND}"}
KITSUNE_WORKER = {"options": {"max_tasks_per_child": 25, "loglevel": "INFO"}}
INTELOWL_REDIS = {
    "priority_steps": [*range(10)],
    "sep": ":",
    "queue_order_strategy": "priority",
    "task_default_priority": 7,
}
INTELOWL_SCHEDULES = (
    "send_elastic_bi",
    "send_plugin_report_to_elastic",
    "remove_old_jobs",
    "check_stuck_analysis",
    "update_notifications_with_releases",
    "user_events_decay",
)
INTELOWL_QUEUE = {"arguments": {"x-max-priority": 10}}

ABOUT = {
    "augur": About(
        broker={"transport": "rabbitmq", "url": BROKER_URL},
        results=REDIS_RESULTS,
        # Its tasks crawl for hours.
        defaults={"latency": "batch"},
        settings={"task_default_queue": "celery"},
    ),
    "bookwyrm": About(
        broker={"transport": "redis", "url": BROKER_URL},
        results=REDIS_RESULTS,
        namespace="CELERY",
        # Chosen when an import is sent.
        queues={"import_triggered": {}},
        workers={"bookwyrm-worker": None},
        environments={"systemd": {"workers": {"worker": None, "bookwyrm-worker": ...}}},
    ),
    "intelowl": About(
        broker={
            "transport": "redis",
            "url": "${BROKER_URL}",
            "options": INTELOWL_REDIS,
        },
        results={"backend": "database", "url": "${RESULT_BACKEND}"},
        settings={"task_default_queue": "default"},
        queues={"default": INTELOWL_QUEUE, "config": INTELOWL_QUEUE, "broadcast": {"broadcast": True}},
        workers={
            "worker_default": {"concurrency": 8},
            "worker_local": None,
            "worker_long": None,
            "worker_ingestor": None,
        },
        expressions={"get_queue_name(settings.DEFAULT_QUEUE)": "default"},
        environments={
            "multi-queue": {
                "queues": dict.fromkeys(("local", "long", "ingestor"), INTELOWL_QUEUE),
                "workers": {"worker_local": ..., "worker_long": ..., "worker_ingestor": ...},
            },
            "rabbitmq": {"broker": {"transport": "rabbitmq", "options": None}},
            "sqs": {
                "celery": {"settings": {"task_default_queue": "default.fifo"}},
                "broker": {
                    "transport": "sqs",
                    "options": {
                        **dict.fromkeys(INTELOWL_REDIS),
                        "polling_interval": 2,
                        "wait_time_seconds": 0,
                        "visibility_timeout": 43200,
                        "max_retries": 0,
                    },
                },
                "defaults": {"queue": "default.fifo"},
                "queues": {
                    **dict.fromkeys(("default", "config", "broadcast")),
                    **dict.fromkeys(("default.fifo", "config.fifo"), INTELOWL_QUEUE),
                },
                "workers": {"worker_default": {"queues": ["default.fifo", "config.fifo"]}},
                "schedules": {name: {"options": {"queue": "default.fifo"}} for name in INTELOWL_SCHEDULES},
            },
        },
    ),
    "kitsune": About(
        broker={"transport": "redis", "url": BROKER_URL},
        namespace="CELERY",
        settings={"task_default_queue": "celery"},
        workers={
            "production, one per queue": None,
            "development": None,
            "celery": KITSUNE_WORKER,
            "email": {"concurrency": 1, **KITSUNE_WORKER},
            "retrieval": KITSUNE_WORKER,
            "retrieval_bulk": KITSUNE_WORKER,
        },
        environments={
            "development": {
                "workers": {
                    **dict.fromkeys(("celery", "email", "retrieval", "retrieval_bulk")),
                    "development": ...,
                }
            }
        },
    ),
    "kpi": About(
        broker={
            "transport": "redis",
            "url": BROKER_URL,
            "options": {"fanout_patterns": True, "fanout_prefix": True, "visibility_timeout": 6000},
        },
        results={"backend": "redis", "url": BROKER_URL},
        namespace="CELERY",
        expressions={"${AUTOSCALE_MIN},${AUTOSCALE_MAX}": "2,6"},
    ),
    "packit-service": About(
        broker={"transport": "redis", "url": BROKER_URL},
        results=REDIS_RESULTS,
        app="packit_service.celerizer",
        settings={
            "task_default_queue": "short-running",
            "task_time_limit": 900,
            "task_ignore_result": True,
            "worker_send_task_events": True,
        },
        queues={"rate-limited": {}},
        expressions={
            "${QUEUES}": "short-running,long-running,rate-limited",
            "${CONCURRENCY}": 1,
            "${POOL}": "prefork",
        },
        subclasses={"BodhiTaskWithRetry": "TaskWithRetry"},
    ),
    "safe-transaction-service": About(
        broker={"transport": "rabbitmq", "url": BROKER_URL},
        # Its durable control queues are new in 5.6, and stop every worker of 5.7.
        celery="5.6",
        namespace="CELERY",
        settings={"task_default_queue": "celery"},
        # One row of the two indexers is for each kind of chain, and one is never on.
        schedules={"index-safe-events-l2": {"enabled": False}, "index-new-proxies": {"enabled": False}},
        environments={
            "l2": {
                "schedules": {
                    "index-internal-txs": {"enabled": False},
                    "index-safe-events-l2": {"enabled": True},
                }
            }
        },
    ),
    "saleor": About(
        broker={"transport": "rabbitmq", "url": BROKER_URL},
        namespace="CELERY",
        expressions={"<default queue>": "celery"},
        environments={"redis": {"broker": {"transport": "redis"}}},
    ),
}


def workload(name: str, sheet: Facts) -> Facts:
    """One deployment in the words of the language."""
    about = ABOUT[name]
    settings = {**_settings(sheet, about), **about.settings}
    queue = settings["task_default_queue"]
    workers = {worker["name"]: _worker(worker, about) for worker in sheet["workers"]}
    celery = {"version": about.celery} if about.celery else {}
    celery |= {"namespace": about.namespace} if about.namespace else {}
    parts = {
        "version": 1,
        "service": name,
        "app": about.app or next(worker["flags"]["--app"] for worker in sheet["workers"]),
        "celery": {**celery, "settings": settings},
        "broker": about.broker,
        "results": about.results,
        "defaults": {"queue": queue, **about.defaults},
        "tasks": _tasks(sheet, about, queue),
        "queues": about.queues,
        "workers": {
            each: {**workers.get(each, {}), **facts}
            for each, facts in {**{key: {} for key in workers}, **about.workers}.items()
            if facts is not None
        },
        "schedules": _schedules(sheet, about),
        "beat": _beat(sheet),
        "environments": {
            each: {
                section: {key: workers[key] if value is ... else value for key, value in patch.items()}
                for section, patch in patches.items()
            }
            for each, patches in about.environments.items()
        },
    }
    return {key: value for key, value in parts.items() if value}


def _value(written: Any, sheet: Facts, about: About) -> Any:
    """What an expression comes to, or `ABSENT`."""
    if isinstance(written, list):
        values = [_value(each, sheet, about) for each in written]
        return ABSENT if any(value is ABSENT for value in values) else values
    if not isinstance(written, dict) or "expr" not in written:
        return written
    return written["value"] if "value" in written else _expression(written["expr"], sheet, about)


def _expression(text: str, sheet: Facts, about: About) -> Any:
    """What the sheet says of it elsewhere, or the default of an environment variable."""
    setting = text.removeprefix("settings.")
    if text in about.expressions:
        return about.expressions[text]
    if text.startswith("settings.") and setting in sheet["settings"]:
        return _value(_first(sheet["settings"][setting])["value"], sheet, about)
    default = DEFAULT.fullmatch(text)
    try:
        return ast.literal_eval(default["value"]) if default else ABSENT
    except ValueError:
        return ABSENT


def _first(written: Any) -> Any:
    """Where a sheet lists several, the tests' own settings come last."""
    return written[0] if isinstance(written, list) else written


def _settings(sheet: Facts, about: About) -> Facts:
    prefix = f"{about.namespace}_" if about.namespace else ""
    found = {}
    for written, entry in sheet["settings"].items():
        key = written.removeprefix(prefix).lower() if prefix else written
        if not written.startswith(prefix) or written.isupper() != bool(prefix):
            continue
        key, value = OLD_NAMES.get(key, key), _value(_first(entry)["value"], sheet, about)
        if key in SETTINGS - SECTIONS and value not in (ABSENT, None):
            found[key] = value
    return found


def _tasks(sheet: Facts, about: About, default: str) -> Facts:
    exact = {route["match"]: route for route in sheet["routes"] if route["kind"] == "exact"}
    globs = {route["match"]: route for route in sheet["routes"] if route["kind"] == "glob"}
    tasks = {}
    for task in sheet["tasks"]:
        name = _task_name(task, sheet)
        matching = (route for glob, route in globs.items() if fnmatchcase(name, glob))
        route = exact.get(name) or next(matching, {})
        options = _options(task, sheet, about)
        queue = options.pop("queue", ABSENT)
        tasks[name] = _task(
            route.get("queue", default) if queue is ABSENT else queue, route, options, default
        )
    return tasks | {glob: _task(route["queue"], route, {}, default) for glob, route in globs.items()}


def _task(queue: str, route: Facts, options: Facts, default: str) -> Facts:
    if "delivery_mode" in route:
        options = {**options, "delivery_mode": {"transient": 1, "persistent": 2}[route["delivery_mode"]]}
    facts = {} if queue == default else {"queue": queue}
    return {**facts, **({"options": options} if options else {})}


def _task_name(task: Facts, sheet: Facts) -> str:
    """The name it is registered by: packit's main one is a constant among the settings."""
    constant = re.fullmatch(r"getenv\('\w+'\) or (\w+)", task.get("name_expr", {}).get("expr", ""))
    return sheet["settings"][constant[1]]["value"] if constant else task["name"]


def _options(task: Facts, sheet: Facts, about: About) -> Facts:
    classes = {each["class"]: each["attrs"] for each in sheet["task_classes"]}
    base = task["options"].get("base", {}).get("expr", "")
    inherited = classes.get(about.subclasses.get(base, base), {})
    inherited = {key: value for key, value in inherited.items() if key.islower()}
    found = {}
    for key, written in {**inherited, **task["options"]}.items():
        name, given = key, written
        if key == "retry_kwargs":
            name, given = "max_retries", written["max_retries"]
        value = _value(given, sheet, about)
        if key in {"autoretry_for", "throws"}:
            value = _exceptions(given)
        if name not in CODE and value is not ABSENT:
            found[name] = value
    return found


def _exceptions(written: Any) -> Any:
    names = [each["expr"] for each in written] if isinstance(written, list) else [written["expr"]]
    known = [name if hasattr(builtins, name) else FROM_CELERY.get(name) for name in names]
    return known if all(known) else ABSENT


def _worker(worker: Facts, about: About) -> Facts:
    flags = {key: about.expressions.get(value, value) for key, value in worker["flags"].items()}
    queues = [name for each in worker["queues"] for name in about.expressions.get(each, each).split(",")]
    facts: Facts = {"queues": queues}
    if "--pool" in flags:
        facts["pool"] = flags["--pool"]
    if "--autoscale" in flags:
        least, most = sorted(int(number) for number in flags["--autoscale"].split(","))
        facts["concurrency"] = {"min": least, "max": most}
    elif (slots := _number(flags.get("--concurrency"))) is not None:
        facts["concurrency"] = slots
    node = str(flags.get("--hostname", "")).removesuffix("@%h")
    if re.fullmatch(r"\w+", node) and node != worker["name"]:
        facts["node_name"] = node
    options = dict(_worker_options(flags))
    return {**facts, "options": options} if options else facts


def _worker_options(flags: Facts) -> Iterator[tuple[str, object]]:
    for flag in ("prefetch-multiplier", "max-tasks-per-child"):
        value = _number(flags.get(f"--{flag}"))
        if value is not None:
            yield flag.replace("-", "_"), value
    for flag in ("without-gossip", "without-mingle", "without-heartbeat", "optimization"):
        if f"--{flag}" in flags:
            yield flag.replace("-", "_"), flags[f"--{flag}"]
    level = re.search(r"(\w+)\}?$", str(flags.get("--loglevel", "")))
    if level and level[1].upper() in {"DEBUG", "INFO", "WARNING"}:
        yield "loglevel", level[1].upper()


def _number(written: object) -> int | None:
    """`8`, or what a shell's `${VARIABLE:-8}` comes to without the variable."""
    found = re.fullmatch(r"(?:\$\{\w+:-)?(\d+)\}?", str(written))
    return int(found[1]) if found else None


def _schedules(sheet: Facts, about: About) -> Facts:
    functions = {task["function"]: task["name"] for task in sheet["tasks"]}
    found = {}
    for entry in sheet["schedules"]:
        task = entry["task"]
        if isinstance(task, dict):
            task = functions[task["expr"].removesuffix(".s()")]
        name = re.sub(r"[^a-z0-9_-]+", "-", (entry["name"] or task.rpartition(".")[2]).lower()).strip("-")
        timing = _timing(entry)
        if timing is None:
            continue
        written = {key: _value(value, sheet, about) for key, value in entry.get("options", {}).items()}
        options = {key: value for key, value in written.items() if value is not ABSENT}
        kwargs = {"kwargs": entry["kwargs"]} if entry.get("kwargs") else {}
        facts = {"task": task, **timing, **kwargs, **({"options": options} if options else {})}
        found[name] = {**facts, **about.schedules.get(name, {})}
    return found


def _timing(entry: Facts) -> Facts | None:
    spec = entry["spec"]
    if entry["kind"] == "crontab":
        fields = spec if isinstance(spec, str) else " ".join(str(spec.get(key, "*")) for key in CRON_FIELDS)
        return {"cron": fields}
    seconds = spec.get("seconds", PERIODS.get(spec.get("expr")))
    return None if seconds is None else {"every": _duration(int(seconds))}


def _duration(seconds: int) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _beat(sheet: Facts) -> Facts | None:
    found = re.search(r"(?:--scheduler|-S) (\S+)", sheet["beat"]["command"])
    setting = sheet["settings"].get("CELERY_BEAT_SCHEDULER", {}).get("value")
    scheduler = found[1] if found else setting
    return {"scheduler": scheduler} if scheduler else None


def text(name: str, sheet: Facts) -> str:
    """The file: sections apart, an entry on one line where it fits."""
    lines = [
        "# yaml-language-server: $schema=../../../schemas/workload.schema.json",
        f"# {sheet['repo']} at {sheet['commit'][:10]} of {sheet['commit_date']}; made by ../make.py.",
    ]
    for section, value in workload(name, sheet).items():
        blank = [""] if isinstance(value, dict) else []
        lines += [*blank, *_lines(section, value, "", deep=2 if section == "environments" else 1)]
    return "\n".join(lines) + "\n"


def _lines(key: str, value: object, indent: str, *, deep: int) -> Iterator[str]:
    """`key: value` on one line, or a mapping with its entries below; sections always have them below."""
    line = f"{indent}{_flow(key)}: {_flow(value)}"
    if not isinstance(value, dict) or not value or (deep < 1 and len(line) <= WIDTH):
        yield line
        return
    yield f"{indent}{_flow(key)}:"
    for inner, item in value.items():
        yield from _lines(inner, item, f"{indent}  ", deep=deep - 1)


class _Dumper(yaml.SafeDumper):
    """What is the same twice is written twice."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def _flow(value: object) -> str:
    written = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=10**6)
    return written.removesuffix("\n").removesuffix("\n...")


def main(sheets: Path) -> None:
    """Write every workload."""
    for name in ABOUT:
        sheet = yaml.safe_load((sheets / f"{name}.yaml").read_text("utf-8"))
        folder = Path(__file__).parent / name
        folder.mkdir(exist_ok=True)
        (folder / "workload.yaml").write_text(text(name, sheet), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
