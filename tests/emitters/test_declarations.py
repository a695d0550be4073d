"""What is declared for people and other tools is shown where they look."""

from __future__ import annotations

import json

from workloads import compiled, workload

from policycompiler import emitters

RUNBOOK = "https://wiki.example.com/a"


def emitted(fragment: str, target: str, path: str) -> str:
    plan = compiled(workload(fragment)).plan
    (text,) = (file.text for file in emitters.emit(plan, [target]) if file.path == path)
    return text


def test_the_routing_tells_canvas_and_runbook_where_they_are_declared():
    fragment = (
        f"tasks: {{shop.a: {{canvas: [chain], runbook: '{RUNBOOK}'}}, shop.b: , shop.*: {{canvas: [group]}}}}"
    )
    routing = json.loads(emitted(fragment, "routing", "routing.json"))
    assert routing["tasks"]["shop.a"].items() >= {"runbook": RUNBOOK, "canvas": ["chain"]}.items()
    assert routing["tasks"]["shop.b"].keys() == {"queue", "workers"}
    assert routing["patterns"][0]["canvas"] == ["group"]


def test_a_schedule_says_what_it_is_for_and_whose_it_is():
    fragment = (
        "tasks: {shop.a: }\nschedules:\n"
        "  both: {task: shop.a, every: 1h, description: Sweeps., owner: team}\n"
        "  neither: {task: shop.a, every: 2h}\n"
    )
    lines = emitted(fragment, "celeryconfig", "celeryconfig.py").splitlines()
    entry = next(number for number, line in enumerate(lines) if line.startswith('    "both"'))
    assert lines[entry - 1] == "    # Sweeps. (owner: team)"
    assert lines[entry + 1].startswith('    "neither"')
