"""Manifests: kubectl renders them, and Kubernetes, KEDA and the Prometheus Operator know their forms."""

from __future__ import annotations

import json
from math import ceil

import pytest
from extracted.kubernetes import processes
from fleet_plans import HOSTILE, HOSTILE_ENVIRONMENT
from manifests import as_kubernetes_reads, by_kind, compiled, container, judge, of_text, rendered
from places import EVERYTHING, EXAMPLES

from policycompiler.compiler import compile_workload
from policycompiler.reality.checkers import check

SOURCES = [
    *(EVERYTHING / f"{name}.yaml" for name in ("redis", "rabbitmq")),
    EXAMPLES / "containers" / "workload.yaml",
]
RABBITMQ = "broker: {transport: rabbitmq, url: '${B}', version: '4.0'}\n"
QUEUES = [
    *("two words", "it's", '"double"', "$(HOME)", "$$(HOME)", "$HOME", "{{ x }}", "Größe 漢字", "1e3", "y"),
    *("null", "0o17", "- a: b", "back\\slash", "#", "%h", "a;b"),
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_every_object_has_a_form_that_its_owner_knows(source, tmp_path):
    folder = compiled(source, tmp_path)
    for path in (folder / "base", *sorted(folder.glob("overlays/*"))):
        objects = rendered(path)
        assert len(objects) > 3
        for each in objects:
            judge(each)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_checker_finds_anything(source, tmp_path):
    folder = compiled(source, tmp_path)
    files = [path.relative_to(tmp_path).as_posix() for path in folder.rglob("*.yaml")]
    report = check(tmp_path, files, {})
    assert report.problems == ()
    assert "lint" in report.used


def test_a_name_or_value_that_tries_to_break_out_arrives_unchanged(tmp_path):
    prefix = ["env", *(text for text in HOSTILE if text.isprintable())]
    prefix = [text for text in prefix if text and not {*"'\"\\"}.intersection(text)]
    environment = {name: text for name, text in HOSTILE_ENVIRONMENT.items() if text.isprintable()}
    assert (len(prefix), len(environment)) == (10, 12)
    workers = {
        "w": {"queues": QUEUES, "environment": environment, "command_prefix": prefix},
    }
    queues = {name: {} for name in QUEUES}
    text = f"queues: {json.dumps(queues, ensure_ascii=False)}\nworkers: {json.dumps(workers, ensure_ascii=False)}\n"
    folder = of_text(text, tmp_path)
    deployment = by_kind(rendered(folder / "base"), "Deployment")["shop-worker-w"]
    read = container(as_kubernetes_reads(deployment, tmp_path))
    variables = {each["name"]: expanded(each.get("value", "")) for each in read["env"]}
    assert {name: variables[name] for name in environment} == environment
    command = [expanded(word) for word in read["command"]]
    assert command[: len(prefix)] == prefix
    assert command[command.index("--queues") + 1].split(",") == QUEUES


def expanded(text: str) -> str:
    """What Kubernetes makes of a text: `$(NAME)` would become a value, and `$$` is a `$`."""
    assert "$(" not in text.replace("$$", "")
    return text.replace("$$", "$")


def test_a_variable_of_the_environment_gives_the_number_of_slots(tmp_path):
    folder = of_text("queues: {q: {}}\nworkers: {w: {queues: [q], concurrency: '${SLOTS}'}}", tmp_path)
    command = container(by_kind(rendered(folder / "base"), "Deployment")["shop-worker-w"])["command"]
    assert command[command.index("--concurrency") + 1] == "$(SLOTS)"


def test_a_change_of_the_settings_changes_the_name_of_the_config_map_and_so_every_pod(tmp_path):
    names = []
    for keep in ("1h", "2h"):
        (tmp_path / keep).mkdir()
        text = f"tasks: {{shop.a: {{queue: q}}}}\nresults: {{backend: redis, url: '${{R}}', keep: {keep}}}"
        objects = rendered(of_text(text, tmp_path / keep) / "base")
        (settings,) = by_kind(objects, "ConfigMap").values()
        assert settings["immutable"] is True
        for deployment in by_kind(objects, "Deployment").values():
            mounted = [each["configMap"]["name"] for each in volumes(deployment) if "configMap" in each]
            assert mounted in ([settings["metadata"]["name"]], [])
        names.append(settings["metadata"]["name"])
    assert names[0] != names[1]


def volumes(deployment):
    return deployment["spec"]["template"]["spec"]["volumes"]


def test_a_pool_that_may_stop_its_main_loop_has_no_probe_and_its_rollout_waits(tmp_path):
    text = "queues: {q: {}}\nworkers: {w: {queues: [q], pool: solo}, v: {queues: [q], pool: threads}}"
    deployments = by_kind(rendered(of_text(text, tmp_path) / "base"), "Deployment")
    solo, threads = deployments["shop-worker-w"], deployments["shop-worker-v"]
    assert not {"livenessProbe", "startupProbe"} & set(container(solo))
    assert (solo["spec"]["minReadySeconds"], "minReadySeconds" in threads["spec"]) == (30, False)
    probe = container(threads)["livenessProbe"]
    assert float(probe["exec"]["command"][-1]) >= 300


def test_beat_keeps_its_schedule_in_a_claim_only_if_it_has_a_file(tmp_path):
    schedule = "tasks: {shop.a: {queue: q}}\nschedules: {s: {task: shop.a, every: 7d}}\n"
    kinds = {}
    for name, more in (("file", ""), ("rows", "beat: {scheduler: 'redbeat.RedBeatScheduler'}")):
        (tmp_path / name).mkdir()
        objects = rendered(of_text(schedule + more, tmp_path / name) / "base")
        kinds[name] = by_kind(objects, "PersistentVolumeClaim").keys()
        beat = by_kind(objects, "Deployment")["shop-beat"]
        assert (beat["spec"]["replicas"], beat["spec"]["strategy"]) == (1, {"type": "Recreate"})
    assert (list(kinds["file"]), list(kinds["rows"])) == (["shop-beat"], [])


def test_keda_adds_up_the_lists_of_a_queue_with_priorities(tmp_path):
    text = (
        "tasks: {shop.a: {queue: q, priority: 5}, shop.b: {queue: r}}\n"
        "workers: {w: {queues: [q, r], replicas: {min: 1, max: 4}}}\n"
    )
    broker = "broker: {transport: redis, url: 'redis://redis/2', options: {global_keyprefix: 'p:'}}\n"
    objects = rendered(of_text(text, tmp_path, broker=broker) / "base")
    spec = by_kind(objects, "ScaledObject")["shop-worker-w"]["spec"]
    lists = [trigger["metadata"]["listName"] for trigger in spec["triggers"]]
    assert lists == ["p:q", *(f"p:q\x06\x16{step}" for step in range(1, 10)), "p:r"]
    assert spec["advanced"]["scalingModifiers"]["formula"].split(" + ") == [
        trigger["name"] for trigger in spec["triggers"]
    ]
    metadata = spec["triggers"][0]["metadata"]
    assert (metadata["address"], metadata["databaseIndex"]) == ("redis:6379", "2")
    assert by_kind(objects, "TriggerAuthentication") == {}
    assert "replicas" not in by_kind(objects, "Deployment")["shop-worker-w"]["spec"]


def test_on_rabbitmq_keda_asks_the_management_api_with_a_key_of_the_secret(tmp_path):
    text = "tasks: {shop.a: {queue: q}}\nworkers: {w: {queues: [q], replicas: {min: 0, max: 4}}}\n"
    objects = rendered(of_text(text, tmp_path, broker=RABBITMQ) / "base")
    (trigger,) = by_kind(objects, "ScaledObject")["shop-worker-w"]["spec"]["triggers"]
    assert trigger["metadata"] == {"mode": "QueueLength", "protocol": "http", "queueName": "q", "value": "2"}
    reference = by_kind(objects, "TriggerAuthentication")[trigger["authenticationRef"]["name"]]
    assert reference["spec"]["secretTargetRef"] == [
        {"parameter": "host", "name": "shop-celery", "key": "KEDA_RABBITMQ_URL"}
    ]


def test_a_network_policy_and_the_services_of_others_do_not_touch_pods_of_others(tmp_path):
    text = "deploy: {image: 'x:1', include: [exporter, network-policy]}\ntasks: {shop.a: {queue: q}}\n"
    objects = rendered(of_text(text, tmp_path) / "base")
    web = {"app.kubernetes.io/name": "shop", "app.kubernetes.io/part-of": "shop"}
    policies = by_kind(objects, "NetworkPolicy").values()
    assert len(policies) == 2
    for policy in policies:
        chosen = policy["spec"]["podSelector"]["matchLabels"]
        assert not chosen.items() <= web.items()
        assert "Egress" not in policy["spec"]["policyTypes"]
    for deployment in by_kind(objects, "Deployment").values():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] != "shop"


def test_without_an_image_there_are_no_manifests(tmp_path):
    source = tmp_path / "workload.yaml"
    source.write_text(
        "version: 1\nservice: shop\napp: shop.app\nbroker: {transport: redis, url: '${B}'}\nqueues: {q: {}}\n"
    )
    assert not any(file.path.startswith("kubernetes/") for file in compile_workload([source]).files)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_processes_are_those_of_the_plan(source, tmp_path):
    folder = compiled(source, tmp_path)
    plan = compile_workload([source], targets=()).plan
    assert plan is not None
    found = {each.worker: each for each in processes(folder / "base") if each.kind == "worker"}
    assert [*found] == [scope.name for scope in plan.scopes("worker")]
    for scope in plan.scopes("worker"):
        each = found[scope.name]
        bounds = plan.get(scope, "scaling")
        assert each.replicas == (
            (bounds["min"], bounds["max"]) if isinstance(bounds, dict) else plan.value(scope, "replicas")
        )
        assert [*each.queues] == plan.texts(scope, "queues")
        assert each.grace_seconds == ceil(plan.number(scope, "stop_timeout_seconds"))
        assert each.memory_bytes == plan.get(scope, "memory_limit_bytes")
        assert each.environment == {key: str(value) for key, value in environment(plan, scope).items()}
    beats = [each for each in processes(folder / "base") if each.kind == "beat"]
    assert [each.replicas for each in beats] == [1] * len(plan.scopes("beat"))


def environment(plan, scope):
    return plan.get(scope, "environment") or {}
