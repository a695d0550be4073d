"""Pairs of workloads, by what lies between them: what one step does, and what needs several."""

from __future__ import annotations

from review_of import RABBITMQ, reviewed

from policycompiler.review import Review

YAML = "celery: {settings: {accept_content: [json, yaml]}}\n"
WRITES_YAML = "celery: {settings: {accept_content: [json, yaml], task_serializer: yaml}}\n"
TICKS = "schedules: {s: {task: shop.a, every: 1m}}\n"
CLASSIC = "queues: {q: {type: classic}}\n"
DEAD_LETTERS = "queues: {q: {type: classic, dead_letter: true}}\n"


def redis(more: str) -> str:
    return f"broker: {{transport: redis, url: '${{CELERY_BROKER_URL}}', {more}}}\n"


def tasks(**entries: str) -> str:
    """Tasks of the shop: `a="q"` goes to queue q, `a="q, expires: 1h"` says more."""
    return "tasks:\n" + "".join(f"  shop.{name}: {{queue: {fields}}}\n" for name, fields in entries.items())


def pattern(**entries: str) -> str:
    """As `tasks`; `every_` stands for a star."""
    return tasks(**entries).replace("every_", "*")


def workers(**entries: str) -> str:
    return "workers:\n" + "".join(f"  {name}: {{queues: [{queues}]}}\n" for name, queues in entries.items())


AT_ONCE = {
    "an option": (tasks(a="q"), tasks(a="q, owner: one")),
    "a worker is split": (
        tasks(a="q", b="p") + workers(w="q, p"),
        tasks(a="q", b="p") + workers(w="q", v="p"),
    ),
    "workers are merged": (
        tasks(a="q", b="p") + workers(w="q", v="p"),
        tasks(a="q", b="p") + workers(w="q, p"),
    ),
    "workers swap queues": (
        tasks(a="q", b="p") + workers(w="q", v="p"),
        tasks(a="q", b="p") + workers(w="p", v="q"),
    ),
    "a worker is renamed": (tasks(a="q") + workers(w="q"), tasks(a="q") + workers(v="q")),
    "a move between queues that stay": (tasks(a="q", b="q", c="p"), tasks(a="p", b="q", c="p")),
    "yaml, which all have read before": (YAML + tasks(a="q"), WRITES_YAML + tasks(a="q")),
    "a pattern takes over an exact name": (pattern(every_="q", a="q"), pattern(every_="q")),
    "a schedule ends": (tasks(a="q") + TICKS, tasks(a="q")),
}
"""One step does."""

FIRST = "expand switch"
BOTH = "expand switch drain contract"
IN_ORDER = {
    "a new task": (tasks(b="q"), tasks(a="q", b="q"), FIRST),
    "a new queue": (tasks(a="q", b="q"), tasks(a="p", b="q"), FIRST),
    "a task is taken away": (tasks(a="q", b="q"), tasks(b="q"), "switch drain contract"),
    "a task moves to a queue of its own": (tasks(a="p", b="q"), tasks(a="r", b="q"), BOTH),
    "one task comes, one goes": (tasks(a="q", b="q"), tasks(b="q", c="q"), BOTH),
    "a task is renamed": (tasks(a="q"), tasks(z="q, renamed_from: [shop.a]"), FIRST),
    "a task is renamed again": (
        tasks(y="q, renamed_from: [shop.x]"),
        tasks(z="q, renamed_from: [shop.x, shop.y]"),
        FIRST,
    ),
    "a task is renamed and moves": (
        tasks(a="q", b="s"),
        tasks(z="r, renamed_from: [shop.a]", b="s"),
        BOTH,
    ),
    "a task moves to a queue that stays": (tasks(a="p", b="q"), tasks(a="q", b="q"), BOTH),
    "a pattern moves to a queue that stays": (
        pattern(every_="p", b="q"),
        pattern(every_="q", b="q"),
        BOTH,
    ),
    "an earlier name is dropped": (
        tasks(z="q, renamed_from: [shop.a]"),
        tasks(z="q"),
        "switch drain contract",
    ),
    "an earlier name is dropped in the next rename": (
        tasks(z="q, renamed_from: [shop.a]"),
        tasks(y="q, renamed_from: [shop.z]"),
        BOTH,
    ),
    "a schedule writes yaml": (
        tasks(a="q") + TICKS,
        YAML + tasks(a="q") + TICKS.replace("1m", "1m, options: {serializer: yaml}"),
        FIRST,
    ),
    "a schedule writes yaml no more": (
        YAML + tasks(a="q") + TICKS.replace("1m", "1m, options: {serializer: yaml}"),
        tasks(a="q") + TICKS,
        BOTH,
    ),
    "yaml": (tasks(a="q"), WRITES_YAML + tasks(a="q"), FIRST),
    "yaml of one task": (tasks(a="q"), YAML + tasks(a="q, options: {serializer: yaml}"), FIRST),
    "no yaml any more": (WRITES_YAML + tasks(a="q"), tasks(a="q"), BOTH),
    "the visibility timeout is raised": (
        redis("visibility_timeout: 2h") + tasks(a="q, max_countdown: 1h"),
        redis("visibility_timeout: 5h") + tasks(a="q, max_countdown: 3h"),
        FIRST,
    ),
    "the visibility timeout is lowered": (
        redis("visibility_timeout: 5h") + tasks(a="q, max_countdown: 3h"),
        redis("visibility_timeout: 2h") + tasks(a="q, max_countdown: 1h"),
        BOTH,
    ),
    "shorter runs": (tasks(a="q, runtime: 4m"), tasks(a="q, runtime: 1m"), BOTH),
    "what runs long gets a worker of its own": (
        tasks(a="q, runtime: 1s", b="p, runtime: 4m") + workers(w="q, p"),
        tasks(a="q, runtime: 1s", b="p, runtime: 4m") + workers(w="q", v="p"),
        "expand contract",
    ),
    "what is to run longer gets a worker of its own": (
        tasks(a="q, runtime: 1s", b="p, runtime: 1s") + workers(w="q, p"),
        tasks(a="q, runtime: 1s", b="p, runtime: 4m") + workers(w="q", v="p"),
        "expand switch contract",
    ),
    "shorter runs move to another worker": (
        tasks(a="q, runtime: 1s", b="p, runtime: 4m", c="r, runtime: 1s") + workers(w="q, p", v="r"),
        tasks(a="q, runtime: 1s", b="p, runtime: 1s", c="r, runtime: 1s") + workers(w="q", v="p, r"),
        BOTH,
    ),
    "other arguments": (
        tasks(a="q") + TICKS,
        tasks(a="q") + TICKS.replace("1m", "1m, args: [1]"),
        FIRST,
    ),
    "an argument that Python takes for the same": (
        tasks(a="q") + TICKS.replace("1m", "1m, args: [1]"),
        tasks(a="q") + TICKS.replace("1m", "1m, args: [true]"),
        FIRST,
    ),
    "beat moves": (
        tasks(a="q") + TICKS + "beat: {host: one}\n",
        tasks(a="q") + TICKS + "beat: {host: two}\n",
        "switch switch",
    ),
    "beat and a task move": (
        tasks(a="q", b="s") + TICKS + "beat: {host: one}\n",
        tasks(a="p", b="s") + TICKS + "beat: {host: two}\n",
        "expand switch switch switch drain contract",
    ),
    "a pattern, and a new queue for one of its tasks": (
        pattern(every_="q"),
        pattern(every_="q", a="p"),
        FIRST,
    ),
    "a pattern becomes wider": (
        pattern(every_="q").replace("shop", "shop.mail"),
        pattern(every_="q"),
        FIRST,
    ),
    "a pattern becomes narrower": (
        pattern(every_="q"),
        pattern(every_="q").replace("shop", "shop.mail"),
        "switch drain contract",
    ),
    "other arguments of a queue": (
        RABBITMQ + tasks(a="q", b="p") + CLASSIC,
        RABBITMQ + tasks(a="q", b="p") + CLASSIC.replace("classic", "quorum"),
        f"{BOTH} contract {BOTH} contract",
    ),
    "other arguments of a queue and of its dead letters": (
        RABBITMQ + tasks(a="q, idempotent: true", b="p") + DEAD_LETTERS,
        RABBITMQ + tasks(a="q, idempotent: true", b="p") + DEAD_LETTERS.replace("classic", "quorum"),
        f"{BOTH} contract contract {BOTH} contract contract",
    ),
    "priorities": (
        RABBITMQ + tasks(a="q", b="p") + CLASSIC,
        RABBITMQ + tasks(a="q", b="p") + CLASSIC.replace("classic", "classic, priorities: 5"),
        f"{BOTH} contract {BOTH} contract",
    ),
}
"""The phases of what needs more than one step."""

ON_BOTH = [
    name for name in IN_ORDER if not name.startswith(("the visibility", "other arguments of", "priorities"))
]


def pair(name: str) -> tuple[str, str]:
    return AT_ONCE[name] if name in AT_ONCE else IN_ORDER[name][:2]


CASES = [
    *((name, "") for name in (*AT_ONCE, *IN_ORDER)),
    *((name, RABBITMQ) for name in (*AT_ONCE, *ON_BOTH)),
]


def of(name: str, broker: str) -> Review:
    old, new = pair(name)
    return reviewed(broker + old, broker + new)
