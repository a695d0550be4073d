"""Every queue is consumed by somebody who is known."""

from __future__ import annotations

import random

import pytest
from workloads import Found, after, workload

from policycompiler.compiler import Compilation, compile_workload
from policycompiler.model import is_name
from policycompiler.policies.routing import consumers

DECIDES = {
    "a queue of nobody gets a worker": (
        "tasks: {shop.a: }",
        {
            "queue:shop.standard.io/workers": (["shop.standard.io"], "these workers consume it"),
            "queue:shop.standard.io/tasks": (["shop.a"], "these tasks are routed to the queue"),
            "queue:shop.standard.io/external": (False, "this app consumes the queue"),
            "queue:shop.standard.io/broadcast": (False, "each message goes to one worker"),
            "worker:shop.standard.io/queues": (["shop.standard.io"], "no other worker consumes this queue"),
            "worker:shop.standard.io/tasks": (
                ["shop.a"],
                ("these tasks are sent to the queues of the worker"),
            ),
            "task:shop.a/workers": (["shop.standard.io"], "these workers consume its queue"),
        },
    ),
    "a worker lists it": (
        ("tasks: {shop.a: {queue: search}}\nworkers: {w: {queues: [search, shop.standard.io]}}"),
        {
            "queue:search/workers": (["w"], "these workers consume it"),
            "worker:w/queues": (["search", "shop.standard.io"], "the workload lists these queues"),
            "worker:w/tasks": (["shop.a"], "these tasks are sent to the queues of the worker"),
            "task:shop.a/workers": (["w"], "these workers consume its queue"),
        },
    ),
    "a worker of the queue's name": (
        "tasks: {shop.a: {queue: search}}\nworkers: {search: {}}",
        {
            "worker:search/queues": (["search"], "the workload lists these queues"),
        },
    ),
    "several workers on one queue": (
        ("tasks: {shop.a: {queue: search}}\nworkers: {w: {queues: [search]}, v: {queues: [search]}}"),
        {
            "queue:search/workers": (["v", "w"], "these workers consume it"),
            "task:shop.a/workers": (["v", "w"], "these workers consume its queue"),
            "worker:v/tasks": (["shop.a"], "these tasks are sent to the queues of the worker"),
            "worker:w/tasks": (["shop.a"], "these tasks are sent to the queues of the worker"),
        },
    ),
    "a glob": (
        ("tasks: {shop.a: {queue: mail-in}, shop.b: {queue: mail-out}}\nworkers: {w: {queues: ['mail-*']}}"),
        {
            "worker:w/queues": (["mail-in", "mail-out"], "the workload lists these queues"),
            "worker:w/tasks": (["shop.a", "shop.b"], "these tasks are sent to the queues of the worker"),
        },
    ),
    "another app's task": (
        "tasks: {shop.a: {external: true, queue: partner}}",
        {
            "queue:partner/workers": ([], "another app consumes the queue"),
            "queue:partner/external": (True, "another app consumes the queue"),
            "queue:partner/tasks": (["shop.a"], "these tasks are routed to the queue"),
            "task:shop.a/workers": ([], "another app runs the task"),
        },
    ),
    "no glob takes another app's queue": (
        "tasks: {shop.a: {external: true, queue: partner}}\nworkers: {w: {queues: ['*']}}",
        {
            "worker:w/queues": (["shop.standard.io"], "the workload lists these queues"),
            "queue:partner/external": (True, "another app consumes the queue"),
        },
    ),
    "both apps send and one consumes": (
        ("tasks: {shop.a: {external: true, queue: partner}}\nworkers: {w: {queues: [partner]}}"),
        {
            "queue:partner/external": (False, "this app consumes the queue"),
            "worker:w/tasks": ([], "these tasks are sent to the queues of the worker"),
            "task:shop.a/workers": ([], "another app runs the task"),
        },
    ),
    "chosen at call time": (
        "tasks: {shop.a: {call_time_queues: [urgent]}}",
        {
            "queue:urgent/workers": (["urgent"], "these workers consume it"),
            "queue:urgent/tasks": (
                ["shop.a"],
                ("these tasks are routed to the queue, or a publisher may choose it"),
            ),
            "worker:urgent/tasks": (["shop.a"], "these tasks are sent to the queues of the worker"),
        },
    ),
    "chosen by a schedule": (
        ("tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1m, options: {queue: timed}}}"),
        {
            "worker:timed/queues": (["timed"], "no other worker consumes this queue"),
        },
    ),
    "declared and never sent to": (
        "queues: {spare: {}}",
        {
            "worker:spare/queues": (["spare"], "no other worker consumes this queue"),
        },
    ),
    "declared another app's": (
        "queues: {inbox: {external: true}}",
        {
            "queue:inbox/workers": ([], "another app consumes the queue"),
            "queue:inbox/tasks": ([], "these tasks are routed to the queue"),
        },
    ),
    "a worker of no queue keeps its place in the plan": (
        "workers: {w: {pool: threads}}",
        {
            "worker:w/queues": ([], "the workload lists these queues"),
            "worker:w/tasks": ([], "these tasks are sent to the queues of the worker"),
        },
    ),
}
STAYS_SILENT = {
    "another app's queue has no worker": (
        "queues: {inbox: {external: true}}",
        ["worker:inbox/queues", "queue:inbox/external"],
    ),
    "broadcast is pinned": ("queues: {all: {broadcast: true}}", ["queue:all/broadcast"]),
}
LEADS_TO = {
    "the list": (
        "tasks: {shop.a: {queue: search}}\nworkers: {w: {queues: [search]}}",
        "worker:w/queues",
        ["2:24"],
    ),
    "the worker of that name": (
        "tasks: {shop.a: {queue: search}}\nworkers: {search: {}}",
        "worker:search/queues",
        ["2:19"],
    ),
    "the policy": ("tasks: {shop.a: }", "worker:shop.standard.io/queues", ["ONE_WORKER_A_QUEUE"]),
    "the workers": (
        "tasks: {shop.a: }",
        "queue:shop.standard.io/workers",
        ["worker:shop.standard.io/queues"],
    ),
    "the task": ("tasks: {shop.a: }", "queue:shop.standard.io/external", ["1:17"]),
    "the call": ("tasks: {shop.a: {call_time_queues: [urgent]}}", "queue:urgent/tasks", ["1:37"]),
}
REFUSES = {
    "a queue of nobody": (
        "tasks: {shop.a: {queue: email}}\nworkers: {w: {queues: [emial]}}",
        [
            Found(
                "queue-unknown",
                "2:24",
                "no task is sent to queue emial, and no `queues:` entry declares it",
                "did you mean `email`?",
            )
        ],
    ),
    "no replica runs": (
        "tasks: {shop.a: {queue: search}}\nworkers: {search: {replicas: 0}}",
        [
            Found(
                "queue-unconsumed",
                "1:17",
                "no running worker consumes queue search",
                "let a worker consume the queue, or declare `external: true` in its tasks",
            ),
        ],
    ),
    "said to be another app's": (
        "tasks: {shop.a: {queue: inbox}}\nqueues: {inbox: {external: true}}",
        [
            Found(
                "queue-unconsumed",
                "2:17",
                "no running worker consumes queue inbox",
                "let a worker consume the queue, or declare `external: true` in its tasks",
            ),
        ],
    ),
    "a glob of one pattern matches nothing": (
        "tasks: {shop.a: {queue: search}}\nworkers: {w: {queues: [search, 'mail-*']}}",
        [
            Found(
                "queue-pattern-unmatched",
                "2:32",
                "no queue matches `mail-*`; known queues: search, shop.standard.io",
                "",
            ),
        ],
    ),
    "a glob matches nothing at all": (
        "tasks: {shop.a: {queue: search}}\nworkers: {w: {queues: ['mail-*']}}",
        [
            Found(
                "queue-pattern-unmatched",
                "2:24",
                "no queue matches `mail-*`; known queues: search, shop.standard.io",
                "",
            ),
            Found("worker-without-queues", "2:14", "worker w consumes no queue", "add `queues: [NAME]`"),
        ],
    ),
    "a glob matches only another app's queue": (
        ("tasks: {shop.a: {external: true, queue: partner}}\nworkers: {w: {queues: ['part*']}}"),
        [
            Found(
                "queue-pattern-unmatched",
                "2:24",
                ("no queue matches `part*`; known queues: shop.standard.io"),
                "",
            ),
            Found("worker-without-queues", "2:14", "worker w consumes no queue", "add `queues: [NAME]`"),
        ],
    ),
    "no queue and no queue of its name": (
        "workers: {w: {}}",
        [
            Found("worker-without-queues", "1:14", "worker w consumes no queue", "add `queues: [NAME]`"),
        ],
    ),
    "an empty list": (
        "workers: {w: {queues: []}}",
        [
            Found("worker-without-queues", "1:14", "worker w consumes no queue", "add `queues: [NAME]`"),
        ],
    ),
}
ACCEPTS = {
    "one of two workers runs": (
        "tasks: {shop.a: {queue: search}}\n"
        "workers: {w: {queues: [search], replicas: 0}, v: {queues: [search]}}"
    ),
    "another app's task on another app's queue": (
        "tasks: {shop.a: {external: true, queue: inbox}}\nqueues: {inbox: {external: true}}"
    ),
    "a glob that matches": "tasks: {shop.a: {queue: search}}\nworkers: {w: {queues: ['sea*']}}",
    "a queue that nothing is sent to": "queues: {inbox: {}}\nworkers: {w: {queues: [inbox]}}",
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(consumers, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(consumers, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(consumers, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(consumers, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(consumers, fragment).findings == []


FEW = {
    "as many as there may be": (
        3,
        "tasks: {shop.a: {latency: interactive}, shop.b: {}, shop.c: {latency: batch}}",
        [["shop.batch.io"], ["shop.interactive.io"], ["shop.standard.io"]],
    ),
    "short runs go together": (
        1,
        "tasks: {shop.a: {latency: interactive, runtime: 1s}, shop.b: {runtime: 9s}}",
        [["shop.interactive.io", "shop.standard.io"]],
    ),
    "the closest promises first": (
        2,
        (
            "tasks: {shop.a: {latency: interactive, runtime: 1s}, shop.b: {runtime: 9s}, "
            "shop.c: {latency: batch, runtime: 9s}}"
        ),
        [["shop.batch.io"], ["shop.interactive.io", "shop.standard.io"]],
    ),
    "never the long with the short": (
        1,
        "tasks: {shop.a: {latency: interactive, runtime: 1s}, shop.b: {runtime: 11s}}",
        [["shop.interactive.io"], ["shop.standard.io"]],
    ),
    "never what nobody says the length of with the urgent": (
        1,
        "tasks: {shop.a: {latency: interactive, runtime: 1s}, shop.b: {}}",
        [["shop.interactive.io"], ["shop.standard.io"]],
    ),
    "never what computes with what waits": (
        1,
        "tasks: {shop.a: {work: cpu, runtime: 1s}, shop.b: {work: io, runtime: 1s}}",
        [["shop.standard.cpu"], ["shop.standard.io"]],
    ),
    "never promises a hundredfold apart": (
        1,
        (
            "tasks: {shop.a: {latency: interactive, runtime: 1s}, shop.c: {latency: batch, runtime: 1s}, "
            "shop.d: {external: true, queue: theirs}}"
        ),
        [["shop.batch.io"], ["shop.interactive.io"]],
    ),
    "the workers of the workload count and stay": (
        2,
        (
            "tasks: {shop.a: {queue: a, runtime: 1s}, shop.b: {queue: b, runtime: 1s}, "
            "shop.c: {queue: c, runtime: 1s}}\n"
            "workers: {w: {queues: [a, shop.standard.io]}}"
        ),
        [["a", "shop.standard.io"], ["b", "c"]],
    ),
}


def with_at_most(most: int, fragment: str, folder) -> Compilation:
    """What becomes of a workload where the policy file asks for few workers."""
    (folder / "workload.yaml").write_text(workload(fragment))
    (folder / "policy.yaml").write_text(f"version: 1\nparameters: {{consumers: {{max_workers: {most}}}}}\n")
    return compile_workload([folder / "workload.yaml"], policy=folder / "policy.yaml", targets=())


@pytest.mark.parametrize(("most", "fragment", "queues"), FEW.values(), ids=FEW)
def test_few_workers_share_what_goes_together(most, fragment, queues, tmp_path):
    compilation = with_at_most(most, fragment, tmp_path)
    workers = compilation.plan.scopes("worker")
    assert sorted(compilation.plan.texts(worker, "queues") for worker in workers) == queues
    asked = [found for found in compilation.diagnostics if found.name == "too-many-workers"]
    assert bool(asked) == (len(queues) > most)


def test_a_shared_worker_says_who_asked_for_it(tmp_path):
    compilation = with_at_most(*FEW["short runs go together"][:2], tmp_path)
    worker = compilation.plan.scopes("worker")[0]
    setting = compilation.plan.setting(worker, "queues")
    assert worker.name == "shop.interactive.io"
    assert setting.because == (
        "no other worker consumes these queues, and the policy file allows only a few workers"
    )
    assert [origin.path for origin in setting.origins] == [("parameters", "consumers", "max_workers")]


def test_it_says_which_workers_do_not_go_together(tmp_path):
    compilation = with_at_most(*FEW["never the long with the short"][:2], tmp_path)
    (found,) = (each for each in compilation.diagnostics if each.name == "too-many-workers")
    assert found.message == (
        "the policy file allows 1 worker, but the workload needs 2: these queues cannot share "
        "a worker: shop.interactive.io, shop.standard.io"
    )


@pytest.mark.parametrize(("apart", "workers"), [(20, 2), (40, 1)])
def test_promises_that_worker_mix_warns_of_share_no_worker(apart, workers, tmp_path):
    (tmp_path / "workload.yaml").write_text(
        workload(
            "tasks: {shop.a: {latency: interactive, queue: a, runtime: 1s}, shop.b: {queue: b, runtime: 1s}}"
        )
    )
    (tmp_path / "policy.yaml").write_text(
        "version: 1\n"
        f"parameters: {{consumers: {{max_workers: 1}}, worker-mix: {{promises_apart: {apart}}}}}\n"
    )
    made = compile_workload([tmp_path / "workload.yaml"], policy=tmp_path / "policy.yaml", targets=())
    assert "latency-mix" not in {each.name for each in made.diagnostics}
    consumed = [set(made.plan.texts(worker, "queues")) for worker in made.plan.scopes("worker")]
    assert sum({"a", "b"} <= queues for queues in consumed) == 2 - workers


CLASSES = {"interactive": (1, 10), "standard": (30, 300), "batch": (900, 21600), "urgent": (1, 2)}


@pytest.mark.parametrize("apart", [2, 20, 100, 1000])
@pytest.mark.parametrize("seed", range(12))
def test_queues_that_share_a_worker_are_not_warned_of(apart, seed, tmp_path):
    draw = random.Random(seed)
    tasks = "".join(
        f"  shop.t{number}: {{latency: {draw.choice(list(CLASSES))}, work: {draw.choice(['io', 'cpu'])}, "
        f"runtime: {draw.choice(['1s', '5s', '20s', '4m'])}, queue: q{draw.randrange(4)}}}\n"
        for number in range(6)
    )
    (tmp_path / "workload.yaml").write_text(workload(f"tasks:\n{tasks}"))

    def found(most: int) -> set[tuple[str, str]]:
        (tmp_path / "policy.yaml").write_text(
            "version: 1\nextends: strict\n"
            "latency_classes: {urgent: {queue_wait_p99: 1s, runtime_p99_limit: 2s}}\n"
            f"parameters: {{consumers: {{max_workers: {most}}}, worker-mix: {{promises_apart: {apart}}}}}\n"
        )
        made = compile_workload([tmp_path / "workload.yaml"], policy=tmp_path / "policy.yaml", targets=())
        names = ("latency-mix", "slow-with-fast", "cpu-io-mix", "one-worker-for-all")
        return {(each.name, each.message) for each in made.diagnostics if each.name in names}

    # Pins may bring tasks together in a queue; sharing a worker must add nothing to that.
    assert {name for name, message in found(1) if message.startswith("worker ")} <= {"cpu-io-mix"}
    assert len(found(1)) == len(found(1000))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*[1]", ["größe[1]"]),
        ("mail*", ["mail", "mail?"]),
        ("mail?", ["mail?"]),
        ("*:*", ["foo:bar"]),
        ("*", ["foo:bar", "größe1", "größe[1]", "mail", "mail?", "shop.standard.io"]),
    ],
)
def test_only_an_asterisk_is_special_in_a_pattern(pattern, expected):
    names = ("mail", "mail?", "größe[1]", "größe1", "foo:bar")
    queues = ", ".join(f'"{name}": {{}}' for name in names)
    found = after(consumers, f'queues: {{{queues}}}\nworkers: {{w: {{queues: ["{pattern}"]}}}}\n')
    assert found.decided["worker:w/queues"][0] == expected


def test_a_new_worker_for_any_queue_has_a_name_for_files_and_units():
    names = ["high priority", "{hash}", "größe", "ß", "a/b", "a:b", "plain"]
    queues = ", ".join(f'"{name}": {{}}' for name in names)
    plan = after(consumers, f"queues: {{{queues}}}\n").plan
    workers = {plan.texts(worker, "queues")[0]: worker.name for worker in plan.scopes("worker")}
    assert {*names} < {*workers}
    assert len({*workers.values()}) == len(workers)
    assert [name for name in workers.values() if not is_name(name)] == []
    assert workers["plain"] == "plain"


def test_a_worker_consumes_all_queues_but_the_excluded_ones():
    fragment = "queues: {a: {}, b: {}, c: {}}\nworkers: {w: {options: {exclude_queues: [b]}}}\n"
    assert after(consumers, fragment).decided["worker:w/queues"][0] == ["a", "c", "shop.standard.io"]
