"""A broker is a record: what is said of a new one, every policy knows."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from kombu.transport import TRANSPORT_ALIASES
from places import PACKAGE
from workloads import compiled

from policycompiler.compiler import compile_workload
from policycompiler.knowledge import celery_settings
from policycompiler.knowledge.brokers import BROKERS, Broker, Redelivery
from policycompiler.knowledge.brokers.memory import BROKER as MEMORY

TEN_MINUTES = Redelivery(option=None, default_seconds=600, most_seconds=600, shared=False, sweep={})


@pytest.fixture
def pubsub(monkeypatch) -> Broker:
    """A broker that nobody has heard of, with an acknowledgement deadline of ten minutes."""
    made = replace(MEMORY, label="Pub/Sub", durable=True, redelivery=TEN_MINUTES)
    monkeypatch.setitem(BROKERS, "pubsub", made)
    return made


def workload(runtime: str) -> str:
    return (
        "version: 1\nservice: shop\napp: shop.app\nbroker: {transport: pubsub, url: '${B}'}\n"
        f"tasks: {{shop.report: {{latency: batch, idempotent: true, runtime: {runtime}}}}}\n"
    )


@pytest.mark.usefixtures("pubsub")
def test_a_run_beyond_the_deadline_of_a_new_broker_is_found():
    (finding,) = [each for each in compiled(workload("2h")).diagnostics if each.code == "PC311"]
    assert finding.path == ("broker", "transport")
    assert finding.help.startswith("stay below 10 min, the maximum of Pub/Sub:")


@pytest.mark.usefixtures("pubsub")
def test_a_short_run_compiles_for_a_new_broker_to_all_targets(tmp_path):
    source = tmp_path / "workload.yaml"
    source.write_text(workload("1m"), "utf-8")
    compilation = compile_workload([source])
    assert not compilation.failed, compilation.diagnostics
    (configuration,) = [file for file in compilation.files if file.path == "celeryconfig.py"]
    assert "visibility_timeout" not in configuration.text


def test_a_broker_that_says_less_is_not_made():
    said = {field.name: getattr(MEMORY, field.name) for field in fields(Broker)}
    del said["redelivery"]
    with pytest.raises(TypeError, match="redelivery"):
        Broker(**said)


@pytest.mark.parametrize("name", BROKERS)
def test_the_schemes_of_a_broker_lead_to_a_transport_of_its_own(name):
    def transports(broker: Broker) -> set[str]:
        return {TRANSPORT_ALIASES[scheme] for scheme in broker.schemes if scheme != "librabbitmq"}

    others = {each for other in BROKERS if other != name for each in transports(BROKERS[other])}
    assert transports(BROKERS[name])
    assert not transports(BROKERS[name]) & others


def test_every_record_is_in_the_table() -> None:
    modules = {path.stem for path in (PACKAGE / "knowledge" / "brokers").glob("*.py")}
    assert modules - {"__init__", "broker"} == set(BROKERS)
    assert all(celery_settings.known(f"transport:{name}", "5.7") for name in BROKERS)
