"""`policycompiler size`: what it prints, what if, and wrong use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator
from places import EXAMPLES, ROOT

from policycompiler.cli import cli

WORKLOAD = """\
version: 1
service: shop
app: shop:app
broker: {transport: redis, url: "${CELERY_BROKER_URL}"}
tasks:
  shop: {queue: other, runtime: 1s, rate: 1/m}
  shop.mail.send: {latency: interactive, queue: mail, runtime: {p50: 2s, p99: 2s}, rate: {mean: 1/s, peak: 7/s}}
  shop.reports.*: {queue: reports, runtime: {p50: 2s, p99: 2s}, rate: 1/m}
workers:
  mail: {replicas: 1}
"""
SHOP = str(EXAMPLES / "shop")


def run(*words: str) -> Result:
    return CliRunner(catch_exceptions=False).invoke(cli, ["size", *words], prog_name="policycompiler")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("w.yaml").write_text(WORKLOAD, "utf-8")


def sized(*words: str) -> dict[str, dict[str, Any]]:
    done = run("w.yaml", "--output-format", "json", *words)
    assert done.exit_code == 0, done.output
    return {each["worker"]: each for each in json.loads(done.stdout)["workers"]}


def test_each_worker_has_a_line():
    done = run(SHOP)
    assert done.exit_code == 0
    names = [line.split("  ")[0] for line in done.stdout.partition("\n\n")[0].splitlines()]
    assert names[0] == "worker"
    assert names[1:] == sorted(names[1:])
    assert {"search", "shop.interactive.io"} < set(names)


@pytest.mark.parametrize("option", ["--output-format", "--format"])
def test_the_json_is_as_its_schema_says(option: str):
    schema = json.loads((ROOT / "schemas" / "size.schema.json").read_text("utf-8"))
    done = run(SHOP, option, "json")
    Draft202012Validator(schema).validate(json.loads(done.stdout))
    assert list(json.loads(done.stdout)) == ["format", "workers"]
    assert list(json.loads(done.stdout)["workers"][0]) == [
        *("worker", "queues", "pool", "replicas", "concurrency", "slots", "offered_load", "utilization"),
        *("wait_p50_seconds", "wait_p95_seconds", "wait_p99_seconds", "promise_seconds", "memory_bytes"),
        "limited_by",
    ]


def test_the_steps_say_which_wait_the_formula_makes_too_short():
    lines = run(SHOP, "--explain", "shop.standard.cpu").output.splitlines()
    p95, p99 = (next(line for line in lines if line.startswith(f"  {name} ")) for name in ("p95", "p99"))
    assert "until one of the 2 runs ends: longer than the formula says" in p95
    assert "until one of" not in p99


def test_more_traffic_has_more_load_and_more_slots():
    today, twice = sized()["mail"], sized("--rate-factor", "2")["mail"]
    assert (today["offered_load"], twice["offered_load"]) == (14, 28)
    # At most 70% of the slots are busy.
    assert (today["slots"], twice["slots"]) == (20, 40)
    assert "what if: all rates times 2" in run("w.yaml", "--rate-factor", "2").stdout


def test_pinned_slots_stay_and_their_load_grows():
    pinned = ("--set", "workers.mail.concurrency=20")
    today, twice = sized(*pinned)["mail"], sized(*pinned, "--rate-factor", "2")["mail"]
    assert (today["slots"], twice["slots"]) == (20, 20)
    assert (today["limited_by"], twice["utilization"], twice["wait_p99_seconds"]) == ("pinned", 1.4021, None)


@pytest.mark.parametrize(
    ("setting", "worker", "key", "value"),
    [
        ("tasks.shop.mail.send.rate.peak=14/s", "mail", "offered_load", 28),
        ("tasks.shop.mail.send.rate=3/s", "mail", "offered_load", 6),
        ("tasks.shop.mail.send.rate.peak=", "mail", "offered_load", 2),
        ("tasks.shop.mail.send.runtime={p50: 1s, p99: 1s}", "mail", "offered_load", 7),
        ("tasks.shop.reports.*.rate=1/s", "reports", "offered_load", 2),
        ("tasks.shop.mail.send.latency=batch", "mail", "promise_seconds", 900),
        ("tasks.shop.rate=1/s", "other", "offered_load", 0.5),
        ("workers.reports.concurrency=7", "reports", "slots", 7),
        ("workers.mail.concurrency={min: 2, max: 5}", "mail", "slots", 5),
    ],
)
def test_other_values_go_the_whole_way(setting: str, worker: str, key: str, value: float):
    assert sized("--set", setting)[worker][key] == pytest.approx(value, rel=1e-3)


def test_several_values_apply_together():
    both = sized("--set", "tasks.shop.mail.send.rate.peak=2/s", "--set", "workers.mail.concurrency=9")
    assert (both["mail"]["offered_load"], both["mail"]["slots"]) == (4, 9)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("tasks.shop.mial.send.rate=1/s", "did you mean `shop.mail.send`?"),
        ("tasks.shop.reports.daily.rate=1/s", "`shop.reports.*` declares it"),
        ("taks.shop.mail.send.rate=1/s", "did you mean `tasks`?"),
        ("tasks.shop.mail.send.rte=1/s", "unknown key `rte`"),
        ("tasks.shop.mail.send.runtme.p99=1s", "unknown key `runtme`"),
        ("tasks.shop.mail.send.rate=fast", "not a rate"),
        ("tasks.shop.mail.send.rate={mean: 1/s", "PC002"),
        ("tasks.shop.mail.send.rate=1_0", "PC005"),
        ("tasks.shop.mail.send.payload=", "has no value at"),
        ("tasks.shop.mail.send.runtime.p50=3s", "p50 is 3 s, longer than p99, 2 s"),
        ("workers.nobody.concurrency=3", "worker nobody consumes no queue"),
        ("workers.mail.concurrency.0=3", "PC10"),
        ("queues.nowhere.broadcast=true", "`queues` has no entry `nowhere`"),
        ("environments.x=1", "unknown key `environments`"),
        ("tasks=3", "expected a mapping"),
        ("a: b\n\x07=1", "PC0"),
    ],
)
def test_a_wrong_path_or_value_is_a_finding_with_its_place(setting: str, told: str):
    done = run("w.yaml", "--set", setting)
    assert done.exit_code == 1
    assert told in done.stdout
    assert "--set:1:" in done.stdout, done.stdout


def test_a_value_given_twice_is_a_finding():
    done = run("w.yaml", *(("--set", "workers.mail.concurrency=9") * 2))
    assert (done.exit_code, "PC003" in done.stdout) == (1, True)


@pytest.mark.parametrize("words", [("--rate-factor", each) for each in ("0", "-1", "nan", "inf", "two")])
def test_a_factor_is_a_number_above_0(words: tuple[str, str]):
    done = run("w.yaml", *words)
    assert (done.exit_code, "is not a number above 0" in done.stderr) == (2, True)


@pytest.mark.parametrize("words", ["tasks", "=3", " =3"])
def test_a_setting_has_a_path_and_a_value(words: str):
    done = run("w.yaml", "--set", words)
    assert (done.exit_code, "is not a path and a value" in done.stderr) == (2, True)


def test_the_arithmetic_of_a_worker():
    done = run("w.yaml", "--explain", "mail", "--rate-factor", "0.5")
    assert done.exit_code == 0
    # 7/s at peak, half of it, 2 s each.
    assert "what if: all rates times 0.5" in done.stdout
    assert "3.5" in done.stdout
    assert "together" in done.stdout


def test_the_arithmetic_of_no_worker():
    done = run("w.yaml", "--explain", "mial")
    assert (done.exit_code, "did you mean `mail`?" in done.stderr) == (1, True)
    assert run("w.yaml", "--explain", "mail", "--format", "json").exit_code == 2


def test_problems_of_the_sources_are_findings():
    Path("w.yaml").write_text(WORKLOAD.replace("idempotent", "x").replace("rate: 1/m", "rate: 1"), "utf-8")
    done = run("w.yaml")
    assert (done.exit_code, "w.yaml:6" in done.stdout) == (1, True)
    assert run("nowhere.yaml").exit_code != 0


def test_several_sources_and_a_policy_file():
    Path("more.yaml").write_text(
        "version: 1\ntasks: {shop.more: {queue: more, runtime: {p50: 7s, p99: 7s}, rate: 1/s}}\n", "utf-8"
    )
    Path("policy.yaml").write_text(
        "version: 1\nparameters: {concurrency: {busy_at_peak: 0.5}}\n"
        "latency_classes: {interactive: {queue_wait_p99: 3s}}\n",
        "utf-8",
    )
    found = sized("more.yaml", "--policy", "policy.yaml")
    assert (found["mail"]["slots"], found["more"]["slots"]) == (28, 14)
    assert found["mail"]["promise_seconds"] == 3


@pytest.mark.parametrize("name", ["everything", "minimal"])
def test_any_plan_has_sizes_and_steps(name: str):
    source = ROOT / "tests/data/everything/redis.yaml" if name == "everything" else EXAMPLES / "minimal.yaml"
    done = run(str(source), "--format", "json")
    assert done.exit_code == 0, done.output
    for each in json.loads(done.stdout)["workers"]:
        assert run(str(source), "--explain", each["worker"]).exit_code == 0


@pytest.mark.parametrize(
    ("limit", "peak", "told"),
    [
        ("", "8/s", []),
        (", options: {rate_limit: 10/s}", "8/s", ["waits for Celery's rate limit too"]),
        (
            ", options: {rate_limit: 10/m}",
            "8/s",
            ["waits for Celery's rate limit too", "at peak s.a arrives at 480/m, but its one worker process"],
        ),
    ],
)
def test_a_rate_limit_is_told_beside_the_numbers(tmp_path: Path, limit: str, peak: str, told: list[str]):
    path = tmp_path / "w.yaml"
    path.write_text(
        "version: 1\nservice: s\napp: s.a:app\nbroker: {transport: redis, url: '${B}'}\n"
        "tasks: {s.a: {queue: q, latency: interactive, runtime: {p50: 500ms, p99: 800ms}, "
        f"rate: {{mean: 5/m, peak: {peak}}}{limit}}}}}\n",
        "utf-8",
    )
    for words in ((), ("--explain", "q")):
        done = CliRunner(catch_exceptions=False).invoke(cli, ["size", str(path), *words])
        assert done.exit_code == 0, done.output
        assert ("rate limit" in done.stdout) == bool(told)
        assert ("at peak s.a" in done.stdout) == (len(told) == 2)
        assert all(each in done.stdout for each in told)
