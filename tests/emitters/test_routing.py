"""The table of routes tells earlier names, for machines and for people."""

from __future__ import annotations

import json

from workloads import compiled, workload

from policycompiler import emitters


def test_the_routing_tells_the_earlier_names_of_a_task():
    fragment = "tasks: {shop.a: {renamed_from: [old.b, old.a]}, shop.b: }"
    files = {file.path: file.text for file in emitters.emit(compiled(workload(fragment)).plan, ["routing"])}
    tasks = json.loads(files["routing.json"])["tasks"]
    assert {name: task.get("renamed_from") for name, task in tasks.items()} == {
        "shop.a": ["old.a", "old.b"],
        "shop.b": None,
    }
    assert "| `shop.a`, formerly `old.a`, `old.b` |" in files["ROUTING.md"]
    assert "| `shop.b` |" in files["ROUTING.md"]
