"""Random workloads, and what must hold of whatever is compiled: each target is read by its own reader.

By hand, thousands of them: `python tests/support/random_workloads.py 5000`; `… 1 SEED` shows one.
"""

from __future__ import annotations

import configparser
import json
import random
import shlex
import sys
import tempfile
import types
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import click
import yaml
from celery import Celery
from celery.bin.base import CLIContext
from celery.bin.celery import celery
from celery.bin.worker import worker
from jsonschema import Draft202012Validator
from places import ROOT

from policycompiler import output
from policycompiler.compiler import Compilation, compile_workload
from policycompiler.model import AS_WRITTEN
from policycompiler.plan import Plan
from policycompiler.plan.file import from_json, to_json
from policycompiler.plan.lines import worker_lines
from policycompiler.report.explain import explain, explain_json
from policycompiler.report.overview import overview
from policycompiler.report.size_steps import steps_text
from policycompiler.report.sizes import sizes_text
from policycompiler.review import review

PLAN_SCHEMA = Draft202012Validator(json.loads((ROOT / "schemas" / "plan.schema.json").read_text("utf-8")))
URLS = {
    "redis": "redis://127.0.0.1:6379/0",
    "rabbitmq": "amqp://guest@127.0.0.1//",
    "sqs": "sqs://",
    "filesystem": "filesystem://",
    "memory": "memory://",
}

Chosen = dict[str, object]


class WrongError(AssertionError):
    """Something that does not hold of a compiled workload."""


class _Dice(random.Random):
    def some(self, chance: float, **values: object) -> Chosen:
        """Each of these with a chance; a list is what to choose from."""
        return {
            key: self.choice(value) if isinstance(value, list) else value
            for key, value in values.items()
            if self.random() < chance
        }


TASKS = ("shop.mail.send", "shop.mail.digest", "shop.pay.charge", "shop.img.scale", "lone", "shop.img.a-b")
GLOBS = ("shop.mail.*", "shop.*", "*.scale")
QUEUES = ("mail", "bulk", "search.v2")


def workload(seed: int) -> Chosen:
    """The workload of a seed; it need not be one that compiles."""
    dice = _Dice(seed)
    transport = dice.choice(["redis", "redis", "redis", "rabbitmq", "rabbitmq", "sqs", "filesystem"])
    queues = dice.sample(QUEUES, dice.randint(0, len(QUEUES)))
    names = dice.sample(TASKS, dice.randint(1, len(TASKS))) + dice.sample(GLOBS, dice.randint(0, 1))
    found: Chosen = {
        "version": 1,
        "service": dice.choice(["shop", "x", "a-b-c"]),
        "app": dice.choice(["shop.celery_app:app", "shop"]),
        "owner": "core",
        "broker": {"transport": transport, "url": "${CELERY_BROKER_URL}", **_broker(dice, transport)},
        "tasks": {name: _task(dice, name, transport, queues) for name in names},
    }
    if dice.random() < 0.5:
        found["celery"] = dice.some(
            0.3, version=["5.5", "5.6", "5.7"], namespace=["", "CELERY"], settings=SETTINGS
        )
    if dice.random() < 0.6:
        backend = dice.choice(["redis", "database", "rpc", "memcached", "mongodb", "none"])
        url = {} if backend in {"none", "rpc"} else {"url": "${CELERY_RESULT_BACKEND}"}
        found["results"] = {"backend": backend, **url, **dice.some(0.3, keep=["1h", "7d"])}
    if queues:
        found["queues"] = {name: _queue(dice, transport) for name in queues}
        if dice.random() < 0.5:
            found["workers"] = {dice.choice([queues[0], "own"]): {"queues": queues, **_worker(dice)}}
    found |= dice.some(0.3, budget=BUDGETS)
    if dice.random() < 0.5:
        found["schedules"] = {
            f"s{number}": _schedule(dice, names, queues) for number in range(dice.randint(1, 3))
        }
        found |= dice.some(0.4, beat=SCHEDULERS)
    return found


BUDGETS: list[Chosen] = [
    {"memory": "20MiB"},
    {"memory": "4GiB", "cores": 0.5},
    {"cores": 16, "connections": 10},
    {"memory": "64GiB", "connections": 100_000},
]
SETTINGS: list[Chosen] = [
    {"timezone": "Europe/Paris"},
    {"task_time_limit": 900},
    {"task_default_rate_limit": "100/s"},
    {"worker_prefetch_multiplier": 2},
    {"task_acks_late": True},
    {"task_create_missing_queues": False},
    {"result_extended": True},
    {"broker_pool_limit": 50},
]
SCHEDULERS: list[Chosen] = [
    {"scheduler": "celery.beat:PersistentScheduler"},
    {"scheduler": "django_celery_beat.schedulers:DatabaseScheduler"},
    {"scheduler": "redbeat.RedBeatScheduler"},
    {"scheduler": "shop.beat:Own", "store": "database"},
    {"host": "one"},
]


def _broker(dice: _Dice, transport: str) -> Chosen:
    versions = {"redis": ["6.2", "7.2"], "rabbitmq": ["3.10", "3.13", "4.1"]}.get(transport)
    options = {"redis": [{"socket_timeout": 5}, {"priority_steps": [0, 5]}], "sqs": [{"region": "eu-west-1"}]}
    found = dice.some(0.4, version=versions) if versions else {}
    found |= dice.some(0.2, options=options[transport]) if transport in options else {}
    return found | (dice.some(0.1, visibility_timeout=["12h", "1d"]) if transport == "redis" else {})


def _task(dice: _Dice, name: str, transport: str, queues: list[str]) -> Chosen:
    found = dice.some(
        0.4,
        latency=["interactive", "standard", "batch"],
        work=["io", "cpu"],
        idempotent=[True, False],
        runtime=["300ms", "20s", {"p50": "300ms", "p99": "3s"}, {"p50": "1m", "p99": "20m"}, "2h"],
        rate=["1/m", "5/s", {"mean": "1/s", "peak": "20/s"}],
    )
    found |= dice.some(0.1, connections=[0, 3], needs=[["recycling"], ["no_patching"]])
    found |= dice.some(
        0.15,
        burst=[10, 500],
        memory=["50MiB", "600MiB"],
        result=["ignore"],
        payload=["1KiB", "100KiB"],
        expires=["1h", "1d"],
        owner=["mail", "pay"],
        critical=True,
        description=["words 'and' \"quotes\" % {{ }} \\"],
        runbook=["https://example.org/runbook"],
        max_countdown=["5m", "2h"],
        canvas=[["chain"], ["group"]],
        retry=[
            "none",
            {"on": ["ConnectionError"], "max": 3},
            {"on": ["shop.errors.Error.Inner", "OSError"], "max_delay": "5m"},
            {"max": 5},
        ],
        options=[
            {"rate_limit": "10/m"},
            {"time_limit": 900},
            {"soft_time_limit": 100},
            {"max_retries": 5},
            {"compression": "gzip"},
            {"acks_late": True},
            {"track_started": True},
        ],
    )
    if "*" not in name:
        found |= dice.some(0.1, renamed_from=[[f"{name}.before"]])
    if transport in {"redis", "rabbitmq"}:
        found |= dice.some(0.15, priority=[0, 5, 9])
    if queues and dice.random() < 0.5:
        found["queue"] = dice.choice(queues)
    return found


def _queue(dice: _Dice, transport: str) -> Chosen:
    if transport == "rabbitmq":
        return dice.choice(
            [
                {},
                {"type": "quorum"},
                {"type": "classic", "priorities": 5},
                {"type": "quorum", "dead_letter": True},
                {"exchange": "x", "exchange_type": "topic", "routing_key": "x.#"},
                {"arguments": {"x-max-length": 1000}},
                {"consumer_arguments": {"x-priority": 5}},
                {"broadcast": True},
            ]
        )
    return dice.choice([{}, {}, {"broadcast": True}] if transport == "redis" else [{}])


def _worker(dice: _Dice) -> Chosen:
    return dice.some(
        0.3,
        pool=["prefork", "threads", "gevent", "solo"],
        concurrency=[1, 8, {"min": 1, "max": 4}],
        replicas=[1, 3, {"min": 1, "max": 4}],
        memory=["2GiB"],
        cores=[0.5, 4],
        stop_timeout=["10h"],
        node_name=["n"],
        command_prefix=[["nice", "-n", "5"]],
        environment=[{"LANG": "C.UTF-8", "WORDS": "a 'b' \"c\" $d %e"}],
        options=[{"loglevel": "DEBUG"}, {"max_tasks_per_child": 10}, {"prefetch_multiplier": 2}],
    )


def _schedule(dice: _Dice, names: list[str], queues: list[str]) -> Chosen:
    task = dice.choice([name for name in names if "*" not in name])
    times: list[Chosen] = [
        {"every": "10m"},
        {"every": "90s"},
        {"cron": "0 3 * * *"},
        {"cron": "*/15 9-17 * * mon-fri", "timezone": "Europe/Paris"},
    ]
    options: list[Chosen] = [{"priority": 3}, {"countdown": 30}, {"headers": {"a": [1, None, "'"]}}]
    options += [{"queue": queue} for queue in queues]
    more = dice.some(
        0.2,
        args=[[1, "it's"]],
        kwargs=[{"full": True}],
        expires=["1h"],
        enabled=[True, False],
        options=options,
        description=["words"],
    )
    return {"task": task, **dice.choice(times), **more}


class Compiled(NamedTuple):
    """A workload that compiles, and what came of it."""

    data: Mapping[str, object]
    compilation: Compilation
    plan: Plan
    files: Mapping[str, str]


def compiled(data: Mapping[str, object], folder: Path) -> Compiled | None:
    """None where the workload is refused."""
    source = folder / "workload.yaml"
    source.write_text(yaml.safe_dump(data, sort_keys=False), "utf-8")
    found = compile_workload([source])
    if found.failed or found.plan is None:
        # What is refused is refused with a place.
        for each in found.diagnostics:
            _hold(bool(each.message and (each.path or each.place)), f"a finding without a place: {each}")
        return None
    return Compiled(data, found, found.plan, {file.path: file.text for file in found.files})


def check(found: Compiled, folder: Path) -> None:
    """All that must hold; raises `WrongError`."""
    _same_bytes(found, folder)
    _plan(found)
    _sized(found)
    _explained(found)
    _hold(review(found.plan, found.plan).changes == (), "a plan differs from itself")
    for path, text in found.files.items():
        if path.endswith((".yaml", ".yml")):
            yaml.safe_load(text)
        elif path.endswith(".json"):
            json.loads(text)
    _manifest(found)
    with loaded(found) as app:
        _routes(found, app)
        _limits(found, app)
    _words(found)


def _hold(condition: bool, what: str) -> None:  # noqa: FBT001
    if not condition:
        raise WrongError(what)


def _same_bytes(found: Compiled, folder: Path) -> None:
    """Neither the order of keys nor a second run changes a byte."""
    other = folder / "again"
    other.mkdir()
    again = compiled(_reversed(found.data), other)
    _hold(again is not None, "refused with its keys in another order")
    assert again is not None
    for path, text in found.files.items():
        _hold(again.files.get(path) == text, f"{path} depends on the order of keys")


def _reversed(value):
    if isinstance(value, dict):
        return {key: _reversed(item) for key, item in reversed(value.items())}
    return value


def _plan(found: Compiled) -> None:
    text = found.files["plan.json"]
    _hold(to_json(from_json(text)) == text, "the plan does not read back equal")
    problem = next(PLAN_SCHEMA.iter_errors(json.loads(text)), None)
    _hold(problem is None, f"the plan is not as its schema says: {problem}")


def _sized(found: Compiled) -> None:
    """What the workers take is within the budget, and promises are kept, or a finding tells."""
    told = {(each.name, each.path) for each in found.compilation.diagnostics}
    names = {name for name, _ in told}
    lines = worker_lines(found.plan)
    shown = sizes_text(found.plan, lines, AS_WRITTEN)
    exceeded = {path[1] for name, path in told if name == "budget-exceeded"}
    for part in found.data.get("budget", {}):
        noun = "of memory" if part == "memory" else part.removesuffix("s")
        rows = [row for row in shown.splitlines() if row.startswith("budget: ") and noun in row]
        over = any("exceeded by" in row for row in rows)
        _hold(not rows or over == (part in exceeded), f"size and check disagree about the budget of {part}")
    for each in lines:
        steps_text(found.plan, lines, each.worker, AS_WRITTEN)
        kept = each.line is None or each.promise is None or not each.line.rate
        kept = kept or not each.all_slots or each.promise.holds(each.line)
        _hold(kept or bool(UNKEPT & names), f"nobody told that {each.worker} does not keep its promise")


UNKEPT = {"promise-unkept", "capacity-short", "absurd-capacity"}


def _explained(found: Compiled) -> None:
    document = found.compilation.document
    for setting in found.plan:
        for show in (explain, explain_json):
            _hold(bool(show(found.plan, document, setting.address, {})), f"nothing said of {setting.address}")
    overview(found.plan)


def _manifest(found: Compiled) -> None:
    files = [*found.compilation.files]
    manifest = json.loads(output.manifest_file(files, found.compilation.sources, "1").text)
    for path, text in found.files.items():
        digest = manifest["files"][path]
        _hold(digest == sha256(text.encode()).hexdigest(), f"the hash of {path}")


@contextmanager
def loaded(found: Compiled) -> Iterator[Celery]:
    """A Celery that has read the compiled configuration."""
    url = URLS[found.data["broker"]["transport"]]
    module, errors = types.ModuleType("celeryconfig"), types.ModuleType("shop.errors")
    vars(errors)["Error"] = type("Error", (), {"Inner": type("Inner", (Exception,), {})})
    variables = {"CELERY_BROKER_URL": url, "CELERY_RESULT_BACKEND": "redis://127.0.0.1:6379/1"}
    with (
        patch.dict("os.environ", variables),
        patch.dict(
            sys.modules, {"celeryconfig": module, "shop": types.ModuleType("shop"), "shop.errors": errors}
        ),
    ):
        for path in found.files:
            if path.startswith("celeryconfig_"):
                shipped = types.ModuleType(path.removesuffix(".py"))
                sys.modules[shipped.__name__] = shipped
                exec(found.files[path], vars(shipped))
        exec(found.files["celeryconfig.py"], vars(module))
        app = Celery("reader", set_as_current=False)
        app.config_from_object(module, namespace=(found.data.get("celery") or {}).get("namespace") or None)
        for name in found.data["tasks"]:
            app.task(name=name, shared=False)(_run)
        app.finalize()
        yield app


def _run() -> None:
    """What every task does."""


def _declared(data: Mapping[str, object], name: str) -> Mapping[str, object]:
    """The entry of a task, its own or that of the pattern with most fixed characters."""
    tasks = data["tasks"]
    matching = [glob for glob in tasks if "*" in glob and fnmatchcase(name, glob)]
    best = min(matching, key=lambda glob: (-len(glob.replace("*", "")), glob), default=None)
    return tasks[name] if name in tasks else tasks[best] if best else {}


def _routes(found: Compiled, app: Celery) -> None:
    """Celery's own router sends a task to the queue that the language page says."""
    router = app.amqp.router
    for name in found.data["tasks"]:
        if "*" in name:
            continue
        entry = _declared(found.data, name)
        queue = router.route({}, name)["queue"]
        # A broadcast is a queue of each process; its alias is the name that everybody knows.
        sent, expected = queue.alias or queue.name, entry.get("queue")
        if expected is not None:
            _hold(sent == expected, f"{name} is sent to {sent}, not to its pin")
        elif found.data["broker"]["transport"] != "sqs":
            start = f"{found.data['service']}.{entry.get('latency', 'standard')}.{entry.get('work', 'io')}"
            _hold(sent.startswith(start), f"{name} is sent to {sent}")


def _limits(found: Compiled, app: Celery) -> None:
    """A stop outlasts the hard limits of what a worker runs, and so does the visibility timeout of Redis."""
    limits: dict[str, float] = {}
    visible = (app.conf.broker_transport_options or {}).get("visibility_timeout")
    for name in found.data["tasks"]:
        if "*" in name:
            continue
        task = app.tasks[name]
        queue = app.amqp.router.route({}, name)["queue"].name
        hard = task.time_limit or app.conf.task_time_limit
        if hard:
            limits[queue] = max(limits.get(queue, 0), hard)
            if task.acks_late and found.data["broker"]["transport"] == "redis":
                _hold(visible > hard, f"{name} may run {hard} s, and is redelivered after {visible} s")
    for unit, options in _launched(found).items():
        longest = max((limits.get(queue, 0) for queue in options["queues"] or ()), default=0)
        _hold(_stop_seconds(found, unit) >= longest, f"{unit} is killed before {longest} s")


def _stop_seconds(found: Compiled, name: str) -> float:
    service = found.data["service"]
    unit = found.files[f"systemd/{service}-worker-{name}@.service"]
    (line,) = (line for line in unit.splitlines() if line.startswith("TimeoutStopSec="))
    return float(line.partition("=")[2].removesuffix("s"))


def _launched(found: Compiled) -> dict[str, Mapping[str, object]]:
    scripts = {path: text for path, text in found.files.items() if path.startswith("launch/")}
    return {
        Path(path).name.removesuffix(".sh"): _read(text[text.index("\nexec ") :].replace("\\\n", " "))
        for path, text in scripts.items()
        if path != "launch/beat.sh"
    }


def _words(found: Compiled) -> None:
    """Each target that starts a worker gives it the same words."""
    supervisor = configparser.RawConfigParser(interpolation=None)
    service = found.data["service"]
    supervisor.read_string(found.files[f"supervisor/{service}.conf"])
    for name, options in _launched(found).items():
        command = supervisor[f"program:{service}-{name}"]["command"].replace("\n", " ").replace("%%", "%")
        unit = found.files[f"systemd/{service}-worker-{name}@.service"]
        start = unit[unit.index("\nExecStart=") + 1 :].replace("\\\n", " ").splitlines()[0]
        for target, text in (("supervisor", command), ("systemd", start.replace("%%", "%"))):
            other = _read(text)
            _hold(other == options, f"{target} starts {name} with other words: {other} {options}")


def _read(command: str) -> Mapping[str, object]:
    """What Celery's own command line makes of the words behind `worker`, but for the node's name."""
    words = shlex.split(command)
    arguments = [word for word in words[words.index("worker") + 1 :] if word != "$@"]
    above = click.Context(
        celery, obj=CLIContext(app=Celery(set_as_current=False), no_color=True, workdir=None)
    )
    with worker.make_context("worker", arguments, parent=above) as context:
        return {key: value for key, value in context.params.items() if key != "hostname"}


def main(count: int, first: int = 0) -> int:
    """Print what is wrong; 1 where anything is."""
    outcomes: Counter[str] = Counter()
    for seed in range(first, first + count):
        data = workload(seed)
        if count == 1:
            print(yaml.safe_dump(data, sort_keys=False))  # noqa: T201
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = compiled(data, Path(folder))
                if found is not None:
                    check(found, Path(folder))
                outcomes["refused" if found is None else "holds"] += 1
            except Exception as problem:  # noqa: BLE001
                outcomes["WRONG"] += 1
                print(f"seed {seed}: {type(problem).__name__}: {problem}"[:400])  # noqa: T201
    print(dict(outcomes))  # noqa: T201
    return int(bool(outcomes["WRONG"]))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
