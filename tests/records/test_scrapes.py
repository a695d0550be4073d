"""What the exporters said about real traffic, where alerts and docs build on it."""

from __future__ import annotations

import pytest
from scraped import jobs, samples, value

STEP_KEY = "reports\x06\x16{}"


def test_each_job_has_its_answers():
    assert jobs() == {
        "celery-exporter": ["rabbitmq", "redis"],
        "flower": ["redis"],
        "rabbitmq": ["3.10", "4.0"],
        "rabbitmq-detailed": ["3.10", "4.0"],
        "redis": ["7.0"],
    }


@pytest.mark.parametrize(
    ("job", "variant"), [(job, each) for job, variants in jobs().items() for each in variants]
)
def test_no_answer_is_about_the_process_of_its_exporter(job, variant):
    prefixes = {each.metric.partition("_")[0] for each in samples(job, variant)}
    assert prefixes
    assert not prefixes & {"python", "process", "go", "promhttp", "erlang"}


def test_on_redis_celery_exporter_counts_messages_of_the_first_priority_alone():
    assert value("celery-exporter", "redis", "celery_queue_length", queue_name="reports") == 1
    assert value("celery-exporter", "rabbitmq", "celery_queue_length", queue_name="reports") == 3


def test_redis_exporter_counts_each_priority_and_reserved_messages():
    sizes = {
        each.labels["key"]: each.value
        for each in samples("redis", "7.0")
        if each.metric == "redis_key_size" and each.labels["db"] == "db0"
    }
    assert sizes["reports"] == sizes[STEP_KEY.format(3)] == sizes[STEP_KEY.format(9)] == 1
    assert sizes[STEP_KEY.format(6)] == 0
    assert sizes["unacked"] == 1


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_celery_exporter_shows_a_queue_that_no_worker_takes(broker):
    assert value("celery-exporter", broker, "celery_active_worker_count", queue_name="reports") == 0
    assert value("celery-exporter", broker, "celery_active_worker_count", queue_name="mail") == 1


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
@pytest.mark.parametrize(
    ("task", "exception", "times"),
    [
        ("shop.fail", "ValueError", 2),
        ("shop.retry", "ConnectionError", 1),
        ("shop.reject", "UnknownException", 1),
        ("shop.slow", "SoftTimeLimitExceeded", 1),
        ("shop.slower", "ExceptionWithTraceback", 2),
    ],
)
def test_celery_exporter_counts_a_hard_time_limit_twice_and_other_failures_once(
    broker, task, exception, times
):
    failed = value("celery-exporter", broker, "celery_task_failed_total", name=task, exception=exception)
    assert failed == times


def test_only_celery_exporter_on_rabbitmq_knows_consumers():
    assert value("celery-exporter", "rabbitmq", "celery_active_consumer_count", queue_name="mail") == 1
    assert value("celery-exporter", "redis", "celery_active_consumer_count") is None


@pytest.mark.parametrize("release", ["3.10", "4.0"])
def test_rabbitmq_counts_messages_of_each_queue_at_its_detailed_address_alone(release):
    ready = "rabbitmq_detailed_queue_messages_ready"
    assert value("rabbitmq-detailed", release, ready, queue="reports") == 3
    assert value("rabbitmq-detailed", release, ready, queue="orders.dead") == 3
    assert value("rabbitmq", release, "rabbitmq_queue_messages_ready", queue="reports") is None
    assert value("rabbitmq", release, "rabbitmq_alarms_memory_used_watermark") == 0
    assert value("rabbitmq-detailed", release, "rabbitmq_alarms_memory_used_watermark") is None


def test_flower_sees_worker_names_and_no_queue():
    assert value("flower", "redis", "flower_worker_online", worker="worker@mail.host") == 1
    assert not any("queue" in label for each in samples("flower", "redis") for label in each.labels)
