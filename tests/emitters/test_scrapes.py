"""Where Prometheus finds the metrics: the jobs of a service, read by promtool and by Prometheus itself."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import yaml
from places import ROOT
from plans import plan_of
from processes import running, wait_until
from scraped import jobs, samples
from servers import HOST, free_port
from tools import needs

from policycompiler.compiler import compile_workload
from policycompiler.emitters.prometheus import scrapes
from policycompiler.knowledge.metric_sources import SOURCES
from policycompiler.plan import BEAT, Plan, Scope, Value, scope_from_text

SHOP = ROOT / "examples/shop"
EVERY_SOURCE = "telemetry, celery-exporter, flower, redis-exporter, rabbitmq"


def with_ports(plan: Plan, ports: Mapping[Scope, Value]) -> Plan:
    """The plan with the ports of telemetry, which a policy of its own decides."""
    settings = {scope: dict(keys) for scope, keys in plan._settings.items()}
    any_setting = next(iter(plan))
    for scope, value in ports.items():
        key = "telemetry_port" if scope == BEAT else "telemetry_ports"
        settings.setdefault(scope, {})[key] = any_setting._replace(scope=scope, key=key, value=value)
    return Plan(settings)


def scraped(
    folder: Path, environment: str | None = None, more: str = "", sources: str = EVERY_SOURCE
) -> dict[str, dict]:
    policy = folder / "policy.yaml"
    policy.write_text(
        f"version: 1\nparameters: {{metric-sources: {{sources: [{sources}]}}{more}}}\n", "utf-8"
    )
    made = compile_workload([SHOP], policy=policy, environment=environment)
    text = next(each.text for each in made.files if each.path == "prometheus/shop.scrape.yaml")
    (folder / "prometheus.yml").write_text(text, "utf-8")
    return {each["job_name"]: each for each in yaml.safe_load(text)["scrape_configs"]}


@pytest.mark.parametrize("environment", [None, "rabbitmq"])
def test_promtool_accepts_the_jobs_as_a_whole_configuration(environment, tmp_path):
    scraped(tmp_path, environment)
    command = [needs("promtool"), "check", "config", tmp_path / "prometheus.yml"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_page_says_how_a_prometheus_without_included_files_reads_them(tmp_path):
    scraped(tmp_path)
    (tmp_path / "build/prometheus").mkdir(parents=True)
    (tmp_path / "prometheus.yml").rename(tmp_path / "build/prometheus/shop.scrape.yaml")
    page = (ROOT / "docs/monitoring.md").read_text("utf-8")
    (script,) = re.findall(r"(?s)```sh\n(cat > prometheus.yml.*?)```", page)
    ended = subprocess.run(
        ["sh", "-eu", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_each_source_of_the_broker_has_its_jobs(tmp_path):
    assert {"shop-celery-exporter", "shop-flower", "shop-redis"} <= {*scraped(tmp_path)}
    found = scraped(tmp_path, "rabbitmq")
    assert {"shop-rabbitmq", "shop-rabbitmq-detailed"} <= {*found}
    assert found["shop-rabbitmq-detailed"]["metrics_path"] == "/metrics/detailed"
    assert found["shop-rabbitmq-detailed"]["params"] == {
        "family": ["queue_coarse_metrics", "queue_consumer_count"]
    }


def test_celery_exporter_has_the_time_that_its_answer_takes(tmp_path):
    exporter = scraped(tmp_path)["shop-celery-exporter"]
    assert (exporter["scrape_interval"], exporter["scrape_timeout"]) == ("30s", "15s")
    exporter = scraped(tmp_path, more=", scraping: {interval: 5s}")["shop-celery-exporter"]
    assert (exporter["scrape_interval"], exporter["scrape_timeout"]) == ("5s", "5s")


def test_addresses_of_the_policy_file_replace_the_default(tmp_path):
    found = scraped(tmp_path, more=', scraping: {addresses: {celery-exporter: ["a:9808", "b:9808"]}}')
    assert found["shop-celery-exporter"]["static_configs"][0]["targets"] == ["a:9808", "b:9808"]
    assert found["shop-redis"]["static_configs"][0]["targets"] == ["127.0.0.1:9121"]


@pytest.mark.parametrize("addresses", ["[]", '["a:0"]', '["a:65536"]', '["a"]'])
def test_addresses_that_nobody_can_scrape_are_refused(addresses, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        f"version: 1\nparameters: {{scraping: {{addresses: {{flower: {addresses}}}}}}}\n", "utf-8"
    )
    found = compile_workload([SHOP], policy=policy, targets=()).diagnostics
    assert [each.code for each in found] == ["PC104"]


def test_addresses_of_a_source_of_another_broker_are_found(tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        'version: 1\nparameters: {scraping: {addresses: {rabbitmq: ["rabbit:15692"]}}}\n', "utf-8"
    )
    found = compile_workload([SHOP], policy=policy, targets=()).diagnostics
    assert [each.name for each in found] == ["addresses-unused"]


@pytest.mark.parametrize(
    ("interval", "source", "expected"),
    [
        ("2s", "celery-exporter", ["interval-too-short"]),
        ("3s", "celery-exporter", []),
        ("1s", "redis-exporter", []),
        ("2m", "redis-exporter", []),
        ("121s", "redis-exporter", ["interval-too-long"]),
    ],
)
def test_an_interval_in_which_no_answer_comes_or_samples_are_forgotten_is_found(
    interval, source, expected, tmp_path
):
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "version: 1\nparameters:\n"
        f"  metric-sources: {{sources: [{source}]}}\n  scraping: {{interval: {interval}}}\n",
        "utf-8",
    )
    found = compile_workload([SHOP], policy=policy, targets=()).diagnostics
    assert [each.name for each in found if each.name.startswith("interval-")] == expected


def test_each_process_with_telemetry_is_scraped_on_its_host():
    plan = plan_of(
        {
            "app": {"service": "shop", "metric_sources": ["telemetry"]},
            "worker:a": {"replicas": 3},
            "worker:b": {"replicas": 1},
            "host:one": {"workers": {"a": 2}, "beat": True},
            "host:two": {"workers": {"a": 1, "b": 1}, "beat": False},
        }
    )
    ports = {"beat": 9540, "worker:a": [9541, 9544], "worker:b": [9545, 9546]}
    plan = with_ports(plan, {scope_from_text(scope): value for scope, value in ports.items()})
    (job,) = scrapes.jobs(plan)
    assert job["static_configs"][0]["targets"] == [
        *("one:9540", "one:9541", "one:9542", "one:9543"),
        *("two:9541", "two:9542", "two:9545", "two:9546"),
    ]


def test_every_recorded_answer_is_that_of_a_job():
    known = {scrape.job for source in SOURCES.values() for scrape in source.scrapes}
    assert {*jobs()} <= known
    assert all(source.job == source.scrapes[0].job for source in SOURCES.values())


@pytest.mark.parametrize("release", ["3.10", "4.0"])
def test_the_families_of_the_detailed_job_have_messages_and_consumers(release):
    found = {each.metric for each in samples("rabbitmq-detailed", release)}
    assert {"rabbitmq_detailed_queue_messages_ready", "rabbitmq_detailed_queue_consumers"} <= found


@pytest.mark.server
def test_in_prometheus_the_series_have_the_job_and_the_service(tmp_path):
    port = free_port()
    more = f', scraping: {{interval: 1s, addresses: {{flower: ["{HOST}:{port}"]}}}}'
    scraped(tmp_path, more=more, sources="flower")
    where = [f"--web.listen-address={HOST}:{port}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    command = [needs("prometheus"), f"--config.file={tmp_path / 'prometheus.yml'}", *where]
    url = f"http://{HOST}:{port}/api/v1/query?query=up%7Bjob=%22flower%22,app=%22shop%22%7D"

    def up() -> bool:
        try:
            with urlopen(url, timeout=5) as answer:
                found = json.load(answer)["data"]["result"]
        except URLError:
            return False
        return [each["value"][1] for each in found] == ["1"]

    with running(command, log=tmp_path / "log", folder=tmp_path) as process:
        wait_until(up, "Prometheus scraped itself", process=process, log=tmp_path / "log")
