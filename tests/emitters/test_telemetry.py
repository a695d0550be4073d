"""Telemetry in every target: its module beside the configuration, and its ports in every environment."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from places import EXAMPLES

from policycompiler.compiler import compile_workload
from policycompiler.runtime import telemetry

SOURCES = EXAMPLES / "containers"


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, str]:
    policy = tmp_path_factory.mktemp("policy") / "policy.yaml"
    policy.write_text("version: 1\nparameters: {metric-sources: {sources: [telemetry]}}\n")
    return texts(policy)


def texts(policy=None) -> dict[str, str]:
    compilation = compile_workload([SOURCES], policy=policy)
    assert not compilation.failed, compilation.diagnostics
    return {file.path: file.text for file in compilation.files}


def test_the_module_is_shipped_as_it_is_and_loaded(files):
    assert files["celeryconfig_telemetry.py"] == Path(telemetry.__file__).read_text("utf-8")
    assert "import_module(_beside).observe(_telemetry)" in files["celeryconfig.py"]


def test_nothing_is_there_unasked():
    assert not [path for path, text in texts().items() if "telemetry" in path or "CELERY_TELEMETRY" in text]


def test_containers_have_the_module_and_the_ports(files):
    compose = yaml.safe_load(files["compose.yaml"])
    assert compose["configs"]["celeryconfig_telemetry"] == {"file": "./celeryconfig_telemetry.py"}
    ports = {
        name: service["environment"]["CELERY_TELEMETRY_PORTS"]
        for name, service in compose["services"].items()
        if "CELERY_TELEMETRY_PORTS" in service.get("environment", {})
    }
    processes = {name for name in compose["services"] if name == "beat" or name.startswith("worker-")}
    assert ports.keys() == processes
    assert len(set(ports.values())) == len(ports)
    mounted = [config["source"] for config in compose["services"]["beat"]["configs"]]
    assert "celeryconfig_telemetry" in mounted
    found = "".join(text for path, text in files.items() if path.startswith("kubernetes/"))
    assert all(f'"{range_}"' in found for range_ in ports.values())


def test_the_example_of_the_environment_names_the_variables(files):
    for name in (telemetry.PORTS, telemetry.WORKER):
        assert name in files[".env.example"]


def test_each_way_to_start_a_process_sets_its_ports(files):
    for path, text in files.items():
        starts = path.startswith("launch/") or path.endswith(("@.service", "-beat.service"))
        if starts and path != "launch/Procfile":
            assert text.count("CELERY_TELEMETRY_PORTS=") == 1, path
