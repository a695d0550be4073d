"""Where the queues are in RabbitMQ, and what its own policies set."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies.broker import rabbitmq_server
from policycompiler.policies.broker.rabbitmq_server import Parameters

NAMED = {rabbitmq_server.NAME: Parameters(virtual_host="shop/eu", policy_priority=3)}
HOSTS = {
    "amqp://h": "/",
    "amqp://h/": "/",
    "amqp://h//": "/",
    "amqp://h/%2F": "/",
    "amqp://h/shop": "shop",
    "amqp://h//shop": "/shop",
    "amqp://h/a%20b": "a b",
    "amqp://h/shop;amqp://g/other": "shop",
}


@pytest.mark.parametrize(("url", "host"), HOSTS.items(), ids=HOSTS)
def test_the_virtual_host_is_the_one_that_kombu_connects_to(url, host):
    from kombu import Connection  # noqa: PLC0415 - kombu is the oracle of this test alone

    assert Connection(url).virtual_host == host
    found = after(rabbitmq_server, f"broker: {{transport: rabbitmq, url: '{url}'}}\n")
    assert found.decided["app/broker_virtual_host"][0] == host


def test_a_setting_counts_where_the_url_has_no_path():
    setting = "celery: {settings: {broker_vhost: pinned}}\n"
    for url, host in (("amqp://h", "pinned"), ("amqp://h/shop", "shop")):
        found = after(rabbitmq_server, f"broker: {{transport: rabbitmq, url: '{url}'}}\n{setting}")
        assert found.decided["app/broker_virtual_host"][0] == host


def test_a_transport_option_counts_before_the_url():
    broker = "{transport: rabbitmq, url: 'amqp://h/shop', options: {virtual_host: other}}"
    assert after(rabbitmq_server, f"broker: {broker}\n").decided["app/broker_virtual_host"][0] == "other"


def test_a_url_in_a_variable_leaves_the_virtual_host_to_the_policy_file():
    fragment = "broker: {transport: rabbitmq, url: '${B}'}\n"
    assert after(rabbitmq_server, fragment).decided["app/broker_virtual_host"][0] == "/"
    found = after(rabbitmq_server, fragment, NAMED)
    assert found.decided["app/broker_virtual_host"][0] == "shop/eu"
    assert found.origins["app/broker_virtual_host"] == ["parameters.rabbitmq-server.virtual_host"]


@pytest.mark.parametrize("version", ["'4.0'", "'4.1'"])
def test_from_rabbitmq_4_on_a_timeout_is_a_policy_too(version):
    found = after(
        rabbitmq_server,
        f"broker: {{transport: rabbitmq, url: '${{B}}', version: {version}}}\n"
        "queues: {slow: {arguments: {x-consumer-timeout: 7200000}}, quick: {}}\n",
        NAMED,
    )
    assert {key: value for key, (value, _) in found.decided.items()} == {
        "app/broker_virtual_host": "shop/eu",
        "queue:slow/broker_policy": {"consumer-timeout": 7200000},
        "app/broker_policy_priority": 3,
    }


@pytest.mark.parametrize("broker", ["rabbitmq, version: '3.13'", "rabbitmq"])
def test_an_older_rabbitmq_would_refuse_the_policy(broker):
    found = after(
        rabbitmq_server,
        f"broker: {{transport: {broker}, url: '${{B}}'}}\n"
        "queues: {slow: {arguments: {x-consumer-timeout: 7200000}}}\n",
    )
    assert set(found.decided) == {"app/broker_virtual_host"}


def test_queues_that_this_app_does_not_declare_get_no_policy():
    found = after(
        rabbitmq_server,
        "broker: {transport: rabbitmq, url: '${B}', version: '4.0'}\n"
        "queues: {theirs: {external: true, arguments: {x-consumer-timeout: 7200000}}}\n",
    )
    assert set(found.decided) == {"app/broker_virtual_host"}


@pytest.mark.parametrize("transport", ["redis", "sqs", "memory", "filesystem"])
def test_other_brokers_have_none_of_this(transport):
    assert after(rabbitmq_server, f"broker: {{transport: {transport}, url: '${{B}}'}}\n").decided == {}


@pytest.mark.parametrize("path", ["a%0Ab", "a%00", "v" * 256, "%E2%80%AE"])
def test_a_virtual_host_that_no_file_can_have_is_an_error(path):
    found = after(rabbitmq_server, f"broker: {{transport: rabbitmq, url: 'amqp://h/{path}'}}\n")
    assert [each.name for each in found.findings] == ["virtual-host-invalid"]
    tuned = {rabbitmq_server.NAME: Parameters(virtual_host="a\tb")}
    found = after(rabbitmq_server, "broker: {transport: rabbitmq, url: '${B}'}\n", tuned)
    assert [each.name for each in found.findings] == ["virtual-host-invalid"]
