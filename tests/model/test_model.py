"""The workload language: what is understood, what is refused in which words, and the schema for editors."""

from __future__ import annotations

import json

import jsonschema
import pytest
from places import DATA, ROOT
from workloads import Found, compiled, document_of, found, workload

from policycompiler import load, model

SCHEMA = json.loads((ROOT / "schemas" / "workload.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
EXAMPLE = (DATA / "language.yaml").read_text("utf-8")

FIELDS = {
    "WorkloadFile": "version service app owner celery broker results defaults tasks queues workers schedules "
    "beat hosts budget dependencies store deploy waivers environments",
    "Celery": "version namespace settings",
    "Broker": "transport url version visibility_timeout options",
    "Results": "backend url keep",
    "TaskFields": "latency work idempotent runtime rate burst memory connections needs idempotency_key calls retry result payload expires priority "
    "queue call_time_queues max_countdown external canvas owner critical renamed_from description runbook "
    "policies options",
    "Runtime": "p50 p99",
    "Arrivals": "mean peak",
    "Retry": "on max delay max_delay jitter",
    "Queue": "type dead_letter priorities bound broadcast external exchange exchange_type routing_key arguments "
    "consumer_arguments",
    "Worker": "queues pool concurrency replicas memory cores stop_timeout options node_name app command_prefix "
    "environment",
    "Autoscale": "min max",
    "Scaling": "min max",
    "Deploy": "image image_user namespace secrets autoscaler include user directory executable "
    "environment_file",
    "Schedule": "task cron every solar timezone args kwargs expires enabled options owner description",
    "Solar": "event latitude longitude",
    "Beat": "app scheduler store host",
    "Host": "cores memory workers",
    "Budget": "cores memory connections",
    "Store": "url",
    "Dependency": "rate burst hold breaker on_store_error",
    "Breaker": "failures within open_for probes on",
    "IdempotencyKey": "key keep duplicate on_store_error",
    "Payload": "max enforce",
    "Waiver": "finding at reason owner expires",
}
"""Every public name of the language; they change only with `version`."""

UNDERSTOOD = [
    ("tasks: {shop.a: {runtime: 300ms}}", "tasks.shop~a.runtime.p99", 0.3),
    ("tasks: {shop.a: {runtime: 5s}}", "tasks.shop~a.runtime.p99", 5),
    ("tasks: {shop.a: {runtime: 2m}}", "tasks.shop~a.runtime.p99", 120),
    ("tasks: {shop.a: {runtime: 1h 30m}}", "tasks.shop~a.runtime.p99", 5400),
    ("tasks: {shop.a: {runtime: 1.5h}}", "tasks.shop~a.runtime.p99", 5400),
    ("tasks: {shop.a: {runtime: 1d}}", "tasks.shop~a.runtime.p99", 86400),
    ("tasks: {shop.a: {runtime: 90}}", "tasks.shop~a.runtime.p99", 90),
    ("tasks: {shop.a: {runtime: 0.25}}", "tasks.shop~a.runtime.p99", 0.25),
    ("tasks: {shop.a: {runtime: {p99: 3s}}}", "tasks.shop~a.runtime.p50", None),
    ("tasks: {shop.a: {runtime: {p50: 1s, p99: 3s}}}", "tasks.shop~a.runtime.p50", 1),
    ("tasks: {shop.a: {max_countdown: 0s}}", "tasks.shop~a.max_countdown", 0),
    ("tasks: {shop.a: {rate: 10/s}}", "tasks.shop~a.rate.mean", 10),
    ("tasks: {shop.a: {rate: 600/m}}", "tasks.shop~a.rate.mean", 10),
    ("tasks: {shop.a: {rate: 9/h}}", "tasks.shop~a.rate.mean", 0.0025),
    ("tasks: {shop.a: {rate: 864/d}}", "tasks.shop~a.rate.mean", 0.01),
    ("tasks: {shop.a: {rate: {mean: 1/s, peak: 2/s}}}", "tasks.shop~a.rate.peak", 2),
    ("tasks: {shop.a: {memory: 512B}}", "tasks.shop~a.memory", 512),
    ("tasks: {shop.a: {memory: 10MB}}", "tasks.shop~a.memory", 10_000_000),
    ("tasks: {shop.a: {memory: 64KiB}}", "tasks.shop~a.memory", 65_536),
    ("tasks: {shop.a: {memory: 1.5GiB}}", "tasks.shop~a.memory", 1_610_612_736),
    ("tasks: {shop.a: {retry: none}}", "tasks.shop~a.retry.max", 0),
    ("tasks: {shop.a: {retry: none}}", "tasks.shop~a.retry.on", []),
    ("tasks: {shop.a: {retry: {on: [OSError]}}}", "tasks.shop~a.retry.max", None),
    ("tasks: {shop.a: {description: 'One line.'}}", "tasks.shop~a.description", "One line."),
    ("tasks:\n  shop.a:\n    description: |\n      A.\n", "tasks.shop~a.description", "A."),
    ("tasks: {shop.a: }", "tasks.shop~a.latency", None),
    ("tasks: {shop.a: null}", "tasks.shop~a.idempotent", None),
    ("workers: {w: {concurrency: 8}}", "workers.w.concurrency.min", 8),
    ("workers: {w: {concurrency: {min: 0, max: 8}}}", "workers.w.concurrency.min", 0),
    ("workers: {w: {pool: 'shop.pools:Pool'}}", "workers.w.pool", "shop.pools:Pool"),
    (
        "schedules: {s: {task: shop.a, solar: {event: x, latitude: 1, longitude: -2.5}}}",
        "schedules.s.solar.longitude",
        -2.5,
    ),
    (
        "waivers: [{finding: PC201, at: tasks.*, reason: R., owner: t, expires: 2027-03-31}]",
        "waivers.0.expires",
        "2027-03-31",
    ),
    ("celery: {settings: {task_acks_late: true}}", "celery.settings.task_acks_late", True),
    ("celery: {namespace: ''}", "celery.namespace", ""),
    ("broker: {transport: redis, url: 'redis://h:6379/0'}", "broker.url", "redis://h:6379/0"),
    ("service: a-1", "service", "a-1"),
]

REFUSED = [
    (
        "tasks: {shop.a: {latancy: batch}}",
        Found("unknown-key", "1:18", "unknown key `latancy`", "did you mean `latency`?"),
    ),
    (
        "tasks: {shop.a: {zzz: 1}}",
        Found(
            "unknown-key",
            "1:18",
            "unknown key `zzz`",
            (
                "allowed: burst, call_time_queues, calls, canvas, connections, critical, description, expires, "
                "external, idempotency_key, idempotent, latency, max_countdown, memory, needs, options, owner, payload, "
                "policies, priority, queue, rate, renamed_from, result, retry, runbook, runtime, work"
            ),
        ),
    ),
    ("task: {}", Found("unknown-key", "1:1", "unknown key `task`", "did you mean `tasks`?")),
    (
        "tasks: {shop.a: {options: {acks_on_failure_or_timeout: false}}}",
        Found(
            "unknown-key",
            "1:28",
            "unknown key `acks_on_failure_or_timeout`",
            "write `acks_on_failure: false`; Celery 5.7 ignores this in an annotation",
        ),
    ),
    (
        "tasks: {shop.a: {runtime: {p95: 1s, p99: 2s}}}",
        Found("unknown-key", "1:28", "unknown key `p95`", "did you mean `p99`?"),
    ),
    (
        "tasks: {shop.a: {runtime: {}}}",
        Found("missing-key", "1:27", "`p99` is missing in `tasks.shop.a.runtime`", "add `p99:`"),
    ),
    (
        "tasks: {shop.a: {rate: {peak: 1/s}}}",
        Found("missing-key", "1:24", "`mean` is missing in `tasks.shop.a.rate`", "add `mean:`"),
    ),
    (
        "tasks: {shop.a: {retry: {om: [OSError]}}}",
        Found("unknown-key", "1:26", "unknown key `om`", "allowed: delay, jitter, max, max_delay, on"),
    ),
    (
        "tasks: {shop.a: {retry: sometimes}}",
        Found(
            "invalid-value", "1:25", "write `none`, or a mapping such as {on: [ConnectionError], max: 5}", ""
        ),
    ),
    (
        "tasks: {shop.a: {options: {ack_late: true}}}",
        Found("unknown-key", "1:28", "unknown key `ack_late`", "did you mean `acks_late`?"),
    ),
    (
        "tasks: {shop.a: {idempotent: yes}}",
        Found(
            "wrong-type",
            "1:30",
            "expected true or false, found text",
            "write true or false without quotes; yes, no, on and off are text",
        ),
    ),
    (
        "tasks: {shop.a: {idempotent: 1}}",
        Found("wrong-type", "1:30", "expected true or false, found the number 1", ""),
    ),
    (
        'tasks: {shop.a: {idempotent: "true"}}',
        Found(
            "wrong-type",
            "1:30",
            "expected true or false, found text",
            "write true or false without quotes; yes, no, on and off are text",
        ),
    ),
    (
        "tasks: {shop.a: {description: 5}}",
        Found("wrong-type", "1:31", "expected text, found the number 5", "quote it"),
    ),
    ("tasks: {shop.a: {description: [a]}}", Found("wrong-type", "1:31", "expected text, found a list", "")),
    (
        "tasks: {shop.a: {burst: 1.5}}",
        Found("wrong-type", "1:25", "expected a whole number, found the number 1.5", ""),
    ),
    (
        'tasks: {shop.a: {burst: "5"}}',
        Found("wrong-type", "1:25", "expected a whole number, found text", "write it without quotes"),
    ),
    ("tasks: {shop.a: {burst: 0}}", Found("invalid-value", "1:25", "the value must be at least 1", "")),
    (
        "tasks: {shop.a: {burst: true}}",
        Found("wrong-type", "1:25", "expected a whole number, found true", ""),
    ),
    ("tasks: {shop.a: {priority: 10}}", Found("invalid-value", "1:28", "the value must be at most 9", "")),
    (
        "tasks: {shop.a: {work: gpu}}",
        Found("invalid-value", "1:24", "found `gpu`; allowed: io, cpu", "did you mean `cpu`?"),
    ),
    ("tasks: {shop.a: {work: [io]}}", Found("invalid-value", "1:24", "found a list; allowed: io, cpu", "")),
    (
        "tasks: {shop.a: {result: kep}}",
        Found("invalid-value", "1:26", "found `kep`; allowed: ignore, keep", "did you mean `keep`?"),
    ),
    (
        "tasks: {shop.a: {canvas: [chrod]}}",
        Found(
            "invalid-value", "1:27", "found `chrod`; allowed: chain, group, chord", "did you mean `chord`?"
        ),
    ),
    (
        "tasks: {shop.a: {canvas: chord}}",
        Found("wrong-type", "1:26", "expected a list, found text", "write a list: `[chord]`"),
    ),
    (
        "tasks: {shop.a: {runtime: soon}}",
        Found(
            "invalid-value",
            "1:27",
            "not a duration; write a duration such as 300ms, 5s, 2m, 1h 30m or 1d",
            "",
        ),
    ),
    (
        "tasks: {shop.a: {runtime: 5 s}}",
        Found(
            "invalid-value",
            "1:27",
            "not a duration; write a duration such as 300ms, 5s, 2m, 1h 30m or 1d",
            "",
        ),
    ),
    (
        "tasks: {shop.a: {runtime: -1}}",
        Found("invalid-value", "1:27", "a duration must be at least 0 and at most 3660d", ""),
    ),
    (
        "tasks: {shop.a: {runtime: 0s}}",
        Found("invalid-value", "1:27", "the duration must be more than 0", ""),
    ),
    (
        "tasks: {shop.a: {runtime: 3661d}}",
        Found("invalid-value", "1:27", "a duration must be at least 0 and at most 3660d", ""),
    ),
    (
        "tasks: {shop.a: {runtime: [5s]}}",
        Found(
            "invalid-value",
            "1:27",
            "not a duration; write a duration such as 300ms, 5s, 2m, 1h 30m or 1d",
            "",
        ),
    ),
    (
        "tasks: {shop.a: {runtime: true}}",
        Found(
            "invalid-value",
            "1:27",
            "not a duration; write a duration such as 300ms, 5s, 2m, 1h 30m or 1d",
            "",
        ),
    ),
    (
        "tasks: {shop.a: {rate: 5}}",
        Found("invalid-value", "1:24", "not a rate; write a rate such as 10/s, 600/m, 5/h or 100/d", ""),
    ),
    (
        "tasks: {shop.a: {rate: 5/w}}",
        Found("invalid-value", "1:24", "not a rate; write a rate such as 10/s, 600/m, 5/h or 100/d", ""),
    ),
    (
        "tasks: {shop.a: {memory: 600}}",
        Found("invalid-value", "1:26", "not a size; write a size such as 64KiB, 10MB or 2GiB", ""),
    ),
    (
        "tasks: {shop.a: {memory: 600M}}",
        Found("invalid-value", "1:26", "not a size; write a size such as 64KiB, 10MB or 2GiB", ""),
    ),
    (
        "tasks: {shop.a: {queue: amq.direct}}",
        Found(
            "invalid-value",
            "1:25",
            (
                "a queue name has 1 to 255 bytes of visible characters, without `,`, `*`, `|` and backticks, "
                "and does not start with `amq.` or `celery_delayed`"
            ),
            "",
        ),
    ),
    (
        'tasks: {shop.a: {queue: "a,b"}}',
        Found(
            "invalid-value",
            "1:25",
            (
                "a queue name has 1 to 255 bytes of visible characters, without `,`, `*`, `|` and backticks, "
                "and does not start with `amq.` or `celery_delayed`"
            ),
            "",
        ),
    ),
    (
        "tasks: {shop.a: {owner: Team}}",
        Found("invalid-value", "1:25", "an owner has 1 to 63 lowercase letters, digits and `-`", ""),
    ),
    (
        'tasks: {shop.a: {runbook: "ftp://x"}}',
        Found(
            "invalid-value",
            "1:27",
            "a web address starts with http:// or https:// and a host, and contains no credentials",
            "",
        ),
    ),
    (
        'tasks: {shop.a: {retry: {on: ["a b"]}}}',
        Found(
            "invalid-value", "1:31", "write a dotted Python name such as `smtplib.SMTPServerDisconnected`", ""
        ),
    ),
    (
        "tasks: {shop.a: {options: {rate_limit: 10/d}}}",
        Found(
            "invalid-value",
            "1:40",
            "write a rate limit such as 10/s, 100/m or 5/h; Celery has no other unit",
            "",
        ),
    ),
    (
        "tasks: {shop.a: {options: {time_limit: 5s}}}",
        Found("invalid-value", "1:40", "write a number of seconds", "write a number in seconds: 5"),
    ),
    (
        "tasks: {shop.a: {options: {time_limit: 0}}}",
        Found("invalid-value", "1:40", "write a number of seconds, more than 0", ""),
    ),
    (
        "tasks: {shop.a: 5}",
        Found(
            "wrong-type",
            "1:17",
            "expected a mapping, found the number 5",
            "write a mapping such as `{latency: batch, idempotent: true}`",
        ),
    ),
    (
        'tasks: {"a b": {}}',
        Found(
            "invalid-value",
            "1:9",
            (
                "a task name has 1 to 255 letters, digits, `.`, `_`, `-`, `:`, `/` and `@`, and starts with a letter or `_`; `*` makes it a pattern"
            ),
            "",
        ),
    ),
    (
        "tasks: [shop.a]",
        Found(
            "wrong-type",
            "1:8",
            "expected a mapping, found a list",
            "write a mapping such as `{NAME: {latency: batch, idempotent: true}}`",
        ),
    ),
    ("defaults: {wrok: io}", Found("unknown-key", "1:12", "unknown key `wrok`", "did you mean `work`?")),
    (
        "defaults: {work: gpu}",
        Found("invalid-value", "1:18", "found `gpu`; allowed: io, cpu", "did you mean `cpu`?"),
    ),
    (
        "owner: Team",
        Found("invalid-value", "1:8", "an owner has 1 to 63 lowercase letters, digits and `-`", ""),
    ),
    (
        "environments: {staging: 5}",
        Found("wrong-type", "1:25", "expected a mapping, found the number 5", "write a mapping"),
    ),
    ("version: 2", Found("invalid-value", "1:10", "found the number 2; allowed: 1", "")),
    (
        'version: "1"',
        Found("wrong-type", "1:10", "expected the number 1, found text", "write it without quotes"),
    ),
    (
        "service: Shop",
        Found(
            "invalid-value",
            "1:10",
            ("a service name has 1 to 31 lowercase letters, digits and `-`, and starts with a letter"),
            "",
        ),
    ),
    (
        'app: "shop celery"',
        Found("invalid-value", "1:6", "write a Python path such as `shop.celery_app:app`", ""),
    ),
    (
        'broker: {transport: kafka, url: "${U}"}',
        Found(
            "invalid-value", "1:21", "found `kafka`; allowed: redis, rabbitmq, sqs, filesystem, memory", ""
        ),
    ),
    (
        "broker: {transport: redis}",
        Found(
            "missing-key",
            "1:9",
            "`url` is missing in `broker`",
            "add `url: ${CELERY_BROKER_URL}`, or `url: app` if the application sets the URL itself",
        ),
    ),
    (
        'broker: {url: "${U}"}',
        Found("missing-key", "1:9", "`transport` is missing in `broker`", "add `transport:`"),
    ),
    (
        'broker: {transport: redis, url: "redis://u:secret@h/0"}',
        Found(
            "invalid-value",
            "1:33",
            "the text contains credentials, such as a URL with a password",
            "write an environment variable instead, as in `url: ${CELERY_BROKER_URL}`",
        ),
    ),
    (
        'broker: {transport: redis, url: "redis://u@h/0"}',
        Found(
            "invalid-value",
            "1:33",
            "a URL in a workload must not contain credentials; write `${CELERY_BROKER_URL}`",
            "",
        ),
    ),
    (
        'broker: {transport: redis, url: "$U"}',
        Found(
            "invalid-value",
            "1:33",
            ("write one environment variable, `${U}`, or a URL without credentials"),
            "",
        ),
    ),
    (
        'broker: {transport: redis, url: "${U}", version: 7.2}',
        Found("wrong-type", "1:50", "expected text, found the number 7.2", "quote it"),
    ),
    (
        "results: {backend: disk}",
        Found(
            "invalid-value",
            "1:20",
            "found `disk`; allowed: redis, database, rpc, memcached, mongodb, s3, none",
            "did you mean `redis`?",
        ),
    ),
    (
        "celery: {version: new}",
        Found("invalid-value", "1:19", 'a version has one to three numbers, such as "5.7"', ""),
    ),
    (
        "celery: {namespace: celery}",
        Found("invalid-value", "1:21", "a namespace has uppercase letters, digits and `_`, or is empty", ""),
    ),
    (
        "queues: {amq.q: {}}",
        Found(
            "invalid-value",
            "1:10",
            (
                "a queue name has 1 to 255 bytes of visible characters, without `,`, `*`, `|` and backticks, "
                "and does not start with `amq.` or `celery_delayed`"
            ),
            "",
        ),
    ),
    (
        "queues: {q: {type: stream}}",
        Found("invalid-value", "1:20", "found `stream`; allowed: classic, quorum", ""),
    ),
    ("queues: {q: {priorities: 11}}", Found("invalid-value", "1:26", "the value must be at most 10", "")),
    (
        "queues: {q: {exchange_type: headers}}",
        Found("invalid-value", "1:29", "found `headers`; allowed: direct, topic, fanout", ""),
    ),
    (
        "workers: {w: {pool: fork}}",
        Found(
            "invalid-value",
            "1:21",
            "a pool is prefork, threads, gevent, eventlet, solo, or `dotted.path:Class`",
            "",
        ),
    ),
    ("workers: {w: {concurrency: 0}}", Found("invalid-value", "1:28", "the value must be at least 1", "")),
    (
        "workers: {w: {concurrency: many}}",
        Found(
            "invalid-value",
            "1:28",
            (
                "write a whole number of slots, {min: 2, max: 10} to autoscale, `auto` for the number of cores, "
                "or one environment variable, `${CELERY_CONCURRENCY}`"
            ),
            "",
        ),
    ),
    (
        "workers: {w: {concurrency: {min: 1}}}",
        Found("missing-key", "1:28", "`max` is missing in `workers.w.concurrency`", "add `max:`"),
    ),
    (
        "workers: {w: {replicas: 1001}}",
        Found("invalid-value", "1:25", "the value must be at most 1000", ""),
    ),
    (
        "workers: {w: {options: {optimization: fast}}}",
        Found("invalid-value", "1:39", "found `fast`; allowed: default, fair", ""),
    ),
    (
        "workers: {w: {options: {loglevel: debug}}}",
        Found(
            "invalid-value",
            "1:35",
            "found `debug`; allowed: DEBUG, INFO, WARNING, ERROR, CRITICAL",
            "did you mean `DEBUG`?",
        ),
    ),
    (
        'workers: {w: {command_prefix: ["a\'b"]}}',
        Found(
            "invalid-value",
            "1:32",
            ("a command word must not contain quotes or backslashes: systemd does not accept them in a path"),
            "",
        ),
    ),
    (
        "workers: {w: {environment: {A: 2}}}",
        Found("wrong-type", "1:32", "expected text, found the number 2", "quote it"),
    ),
    (
        "workers: {w: {environment: {1A: b}}}",
        Found(
            "invalid-value",
            "1:29",
            (
                "the name of an environment variable has letters, digits and `_`, and does not start with "
                "a digit"
            ),
            "",
        ),
    ),
    (
        'schedules: {s: {cron: "* * * * *"}}',
        Found("missing-key", "1:16", "`task` is missing in `schedules.s`", "add `task:`"),
    ),
    (
        "schedules: {s: {task: shop.a, every: 0s}}",
        Found("invalid-value", "1:38", "the duration must be more than 0", ""),
    ),
    (
        "schedules: {s: {task: shop.a, solar: {event: sunset, latitude: 91, longitude: 0}}}",
        Found("invalid-value", "1:64", "the value must be at most 90", ""),
    ),
    ("hosts: {h: {workers: {w: -1}}}", Found("invalid-value", "1:26", "the value must be at least 0", "")),
    (
        "tasks: {shop.a: {options: {delivery_mode: 3}}}",
        Found("invalid-value", "1:43", "found the number 3; allowed: 1, 2", ""),
    ),
    (
        "schedules: {s: {task: shop.a, every: 1m, options: {que: q}}}",
        Found("unknown-key", "1:52", "unknown key `que`", "did you mean `queue`?"),
    ),
    (
        "beat: {schedular: x}",
        Found("unknown-key", "1:8", "unknown key `schedular`", "did you mean `scheduler`?"),
    ),
    ("hosts: {h: {cores: 0}}", Found("invalid-value", "1:20", "the value must be at least 1", "")),
    (
        "workers: {w: {pool: xthreads}}",
        Found(
            "invalid-value",
            "1:21",
            "a pool is prefork, threads, gevent, eventlet, solo, or `dotted.path:Class`",
            "",
        ),
    ),
    (
        "celery: {setings: {}}",
        Found("unknown-key", "1:10", "unknown key `setings`", "did you mean `settings`?"),
    ),
    (
        "queues: {q: {argument: {}}}",
        Found("unknown-key", "1:14", "unknown key `argument`", "did you mean `arguments`?"),
    ),
    (
        'environments: {"a b": {}}',
        Found(
            "invalid-value",
            "1:16",
            (
                "a name has 1 to 100 letters, digits, `.`, `_` and `-`, and does not start with `.`, "
                "`-`, `amq.` or `celery_delayed`"
            ),
            "",
        ),
    ),
    (
        "schedules: {s: {task: shop.a, cron: [a]}}",
        Found("wrong-type", "1:37", "expected text, found a list", ""),
    ),
    (
        "results: {keep: 1h}",
        Found("missing-key", "1:10", "`backend` is missing in `results`", "add `backend:`"),
    ),
    (
        "tasks: {shop.a: {latency: 5}}",
        Found("wrong-type", "1:27", "expected text, found the number 5", "quote it"),
    ),
]
MORE_THAN_A_SCHEMA_SAYS = ("runtime: 0s", "every: 0s", "3661d", "a'b", r"a\nb")
"""Arithmetic, and what a line of text may hold: the model alone refuses these."""


def reached(workload_read: object, path: str) -> object:
    for part in path.split("."):
        name = part.replace("~", ".")
        if isinstance(workload_read, dict):
            workload_read = workload_read[name]
        elif isinstance(workload_read, list):
            workload_read = workload_read[int(name)]
        else:
            workload_read = getattr(workload_read, name)
    return workload_read


def data_of(text: str) -> load.Data:
    return load.parse(text, "workload.yaml", [])[0]


def subschemas(part: object):
    if isinstance(part, dict):
        yield part
        for inner in part.values():
            yield from subschemas(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from subschemas(inner)


@pytest.mark.parametrize(("fragment", "path", "value"), UNDERSTOOD)
def test_it_is_understood(fragment, path, value):
    understood, findings = model.parse(document_of(workload(fragment)))
    assert findings == []
    result = reached(understood, path)
    assert (result, type(result)) == (value, type(value))
    assert VALIDATOR.is_valid(data_of(workload(fragment)))


@pytest.mark.parametrize(("fragment", "finding"), REFUSED, ids=[fragment for fragment, _ in REFUSED])
def test_it_is_refused(fragment, finding):
    document = document_of(workload(fragment))
    assert found(document, model.parse(document)[1]) == [finding]


@pytest.mark.parametrize(
    "fragment",
    [text for text, _ in REFUSED if not any(words in text for words in MORE_THAN_A_SCHEMA_SAYS)],
)
def test_the_schema_refuses_what_the_model_refuses(fragment):
    assert not VALIDATOR.is_valid(data_of(workload(fragment)))


@pytest.mark.parametrize("key", ["service", "app", "broker"])
def test_a_workload_without_its_head_is_refused(key):
    text = "".join(line for line in workload("").splitlines(keepends=True) if not line.startswith(key))
    compilation = compiled(text)
    assert compilation.plan is None
    assert found(compilation.document, compilation.diagnostics) == [
        Found("missing-key", "1:1", f"`{key}` is missing", f"add `{key}:`")
    ]


def test_every_problem_is_reported_at_once():
    document = document_of(workload("tasks:\n  shop.a: {latancy: batch, idempotent: yes}\n  b c: {}\n"))
    names = [(finding.name, finding.at) for finding in found(document, model.parse(document)[1])]
    assert sorted(names) == [("invalid-value", "3:3"), ("unknown-key", "2:12"), ("wrong-type", "2:40")]


def test_the_committed_schema_is_that_of_the_model():
    assert (ROOT / "schemas" / "workload.schema.json").read_text("utf-8") == model.workload_schema()
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_example_of_every_field_is_accepted_by_schema_and_model():
    assert list(VALIDATOR.iter_errors(data_of(EXAMPLE))) == []
    assert model.parse(document_of(EXAMPLE))[1] == []
    assert not compiled(EXAMPLE).failed


@pytest.mark.parametrize(
    "path",
    sorted(path for path in (ROOT / "examples").rglob("*.yaml") if not path.name.startswith("policy")),
    ids=lambda path: path.name,
)
def test_an_example_is_valid_to_an_editor(path):
    assert list(VALIDATOR.iter_errors(data_of(path.read_text("utf-8")))) == []


@pytest.mark.parametrize(("part", "names"), FIELDS.items(), ids=FIELDS)
def test_the_fields_are_exactly_those_of_the_language(part, names):
    schema = SCHEMA if part == "WorkloadFile" else SCHEMA["$defs"][part]
    assert set(schema["properties"]) == set(names.split())


def test_every_field_says_what_it_means():
    fields = {
        f"{part}.{name}": field
        for part, schema in {**SCHEMA["$defs"], "": SCHEMA}.items()
        for name, field in schema.get("properties", {}).items()
    }
    assert len(fields) > 120
    assert [name for name, field in fields.items() if not field.get("description")] == []


def test_the_schema_leaves_no_mapping_open_but_those_that_are_passed_on():
    is_open = [
        part
        for part in subschemas(SCHEMA)
        if part.get("type") == "object" and part.get("additionalProperties") is not False
    ]
    passed_on = {"$ref": "#/$defs/JsonValue"}
    assert is_open
    assert all(part["additionalProperties"] == passed_on for part in is_open)
