"""An overlay renders what a compile with `--env` renders; an environment with errors is a finding."""

from __future__ import annotations

import pytest
from manifests import by_kind, compiled, of_text, rendered
from places import EXAMPLES

from policycompiler.compiler import compile_workload

CONTAINERS = EXAMPLES / "containers" / "workload.yaml"
DIFFERENT = """
deploy: {image: "registry.example/shop:1.4.2", include: [exporter, flower, monitors, rules, network-policy]}
tasks:
  shop.a: {queue: q, runtime: 20s}
  shop.b: {queue: r, work: cpu}
workers:
  w: {queues: [q], replicas: {min: 1, max: 4}, environment: {A: "1", B/C~: "2"}}
  v: {queues: [r]}
schedules:
  s: {task: shop.a, every: 1d}
environments:
  bare:
    deploy: {include: []}
    workers: {w: {replicas: 2, environment: null}}
    schedules: {s: null}
  more:
    deploy: {image: "registry.example/shop:2.0.0", namespace: other, secrets: others, autoscaler: hpa}
    workers: {v: {memory: 3GiB, queues: [r]}, u: {queues: [q]}}
  rabbit:
    broker: {transport: rabbitmq, version: "4.0"}
  other: {service: other}
  same: {}
""".replace("B/C~", "B_C")


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_an_overlay_of_the_example_renders_as_a_compile_for_its_environment(environment, tmp_path):
    overlay = compiled(CONTAINERS, tmp_path / "all") / "overlays" / environment
    alone = compiled(CONTAINERS, tmp_path / "one", environment=environment)
    assert rendered(overlay) == rendered(alone / "base")
    assert not (alone / "overlays").exists()


@pytest.mark.parametrize("environment", ["bare", "more", "rabbit", "other", "same"])
def test_added_changed_and_removed_objects_render_as_a_compile_for_their_environment(environment, tmp_path):
    overlay = of_text(DIFFERENT, tmp_path) / "overlays" / environment
    alone = of_text(DIFFERENT, tmp_path, environment=environment) / "base"
    assert keyed(rendered(overlay)) == keyed(rendered(alone))


def keyed(objects):
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


def test_environments_differ_from_the_base(tmp_path):
    folder = of_text(DIFFERENT, tmp_path)
    base = keyed(rendered(folder / "base"))
    found = {path.name: keyed(rendered(path)) for path in folder.glob("overlays/*")}
    assert found["same"] == base
    assert {kind for kind, _ in base.keys() - found["bare"].keys()} >= {"ScaledObject", "Service"}
    assert ("Deployment", "shop-worker-u") in found["more"]
    assert by_kind([*found["more"].values()], "HorizontalPodAutoscaler").keys() == {"shop-worker-w"}


def test_an_environment_with_errors_is_a_finding_at_its_place(tmp_path):
    text = (
        "tasks: {shop.a: {queue: q}}\nenvironments:\n  good: {}\n"
        "  bad: {tasks: {shop.a: {runtime: {p50: 9s, p99: 1s}}}}\n  worse: {workers: {w: {queues: [q], replicas: {min: 4, max: 1}}}}\n"
    )
    source = tmp_path / "workload.yaml"
    source.write_text(
        "version: 1\nservice: shop\napp: shop.app\nbroker: {transport: redis, url: '${B}'}\n"
        "deploy: {image: 'x:1'}\n" + text
    )
    compilation = compile_workload([source], targets=["kubernetes"])
    found = [each for each in compilation.diagnostics if each.name == "environment-refused"]
    assert [(each.path[-1], each.place.line) for each in found if each.place] == [("bad", 9), ("worse", 10)]
    overlays = {file.path.split("/")[2] for file in compilation.files if "/overlays/" in file.path}
    assert overlays == {"good"}
    assert "policycompiler check --env bad" in found[0].help


@pytest.mark.parametrize("targets", [["kubernetes"], ["compose"]])
def test_environments_are_decided_only_if_the_target_is_wanted(targets, tmp_path, monkeypatch):
    from policycompiler import policies  # noqa: PLC0415 - to count its calls

    calls = []
    decide = policies.decide
    monkeypatch.setattr(policies, "decide", lambda *given: calls.append(1) or decide(*given))
    source = tmp_path / "workload.yaml"
    source.write_text(CONTAINERS.read_text("utf-8"), "utf-8")
    compile_workload([source], targets=targets)
    assert len(calls) == (3 if targets == ["kubernetes"] else 1)


def test_settings_above_the_limit_of_a_config_map_are_a_finding(tmp_path):
    source = tmp_path / "workload.yaml"
    tasks = "".join(
        f"  shop.task_number_{number}: {{queue: q, idempotent: true}}\n" for number in range(5500)
    )
    source.write_text(
        "version: 1\nservice: shop\napp: shop.app\nbroker: {transport: redis, url: '${B}'}\n"
        f"deploy: {{image: 'x:1'}}\ntasks:\n{tasks}"
    )
    compilation = compile_workload([source], targets=["kubernetes"])
    (found,) = [each for each in compilation.diagnostics if each.name == "settings-too-large"]
    assert found.path == ("deploy", "image")
    assert "at most 1 MiB" in found.message
