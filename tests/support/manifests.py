"""Compiled manifests, and what judges them: kubectl, and the schemas of Kubernetes, KEDA and the operator."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft7Validator
from places import ROOT
from tools import needs

from policycompiler import output
from policycompiler.compiler import compile_workload

KUBERNETES = "1.37"
_CRDS = {
    "ScaledObject": "keda/keda.sh_scaledobjects.yaml",
    "TriggerAuthentication": "keda/keda.sh_triggerauthentications.yaml",
    "ServiceMonitor": "prometheus-operator/servicemonitors.yaml",
    "PodMonitor": "prometheus-operator/podmonitors.yaml",
    "PrometheusRule": "prometheus-operator/prometheusrules.yaml",
}
_HEAD = "version: 1\nservice: shop\napp: shop.celery_app:app\nowner: shop\n"
REDIS = "broker: {transport: redis, url: '${CELERY_BROKER_URL}', version: '7.2'}\n"
IMAGE = "registry.example/shop:1.4.2"


def compiled(
    source: Path, folder: Path, *, environment: str | None = None, policy: Path | None = None
) -> Path:
    """The folder with the manifests of a workload."""
    compilation = compile_workload([source], environment=environment, policy=policy, targets=["kubernetes"])
    assert not compilation.failed, compilation.diagnostics
    files = [*compilation.files, output.manifest_file(compilation.files, compilation.sources, "0")]
    written = output.write(folder, files)
    assert not written.problems
    return folder / "kubernetes"


def of_text(
    text: str,
    folder: Path,
    *,
    environment: str | None = None,
    broker: str = REDIS,
    policy: Path | None = None,
) -> Path:
    """The folder with the manifests of a workload with this text; it has an image."""
    source = folder / "workload.yaml"
    deploy = "" if "deploy:" in text else f"deploy: {{image: '{IMAGE}'}}\n"
    source.write_text(_HEAD + broker + deploy + text, "utf-8")
    return compiled(source, folder / f"build-{environment}", environment=environment, policy=policy)


def rendered(folder: Path) -> list[dict[str, Any]]:
    """The objects that kubectl makes of a folder, as it writes them."""
    done = subprocess.run(
        [needs("kubectl"), "kustomize", folder], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [*yaml.load_all(done.stdout, yaml.CSafeLoader)]


def by_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """The objects of a kind by name."""
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


def container(deployment: dict[str, Any]) -> dict[str, Any]:
    """The only container of a Deployment."""
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return found


def as_kubernetes_reads(deployment: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A Deployment after kubectl has read it into its own types; only its image is another one."""
    path = folder / "deployment.json"
    path.write_text(json.dumps(deployment), "utf-8")
    return _typed(path)


def _typed(path: Path) -> dict[str, Any]:
    command = [needs("kubectl"), "set", "image", "--local", "-f", path, "*=another", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def shared() -> Path:
    """The folder with the schemas of others, which the checkout does not contain."""
    for parent in ROOT.parents:
        if (found := parent / "shared" / "data").is_dir():
            return found
    pytest.skip("the schemas of other projects are not beside this checkout")


def judge(document: dict[str, Any]) -> None:
    """Raise an error if Kubernetes, or the owner of a custom kind, does not know the form of an object."""
    if document["kind"] in _CRDS:
        errors = [each.message for each in _schema(document["kind"]).iter_errors(document)]
        assert errors == []
        if document["kind"] == "ScaledObject":
            _triggers(document)
    else:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


@cache
def _schema(kind: str) -> Draft7Validator:
    data = yaml.load((shared() / _CRDS[kind]).read_text("utf-8"), yaml.CSafeLoader)
    (version,) = [each for each in data["spec"]["versions"] if each["storage"]]
    schema = version["schema"]["openAPIV3Schema"]
    schema["properties"]["metadata"] = {"type": "object"}
    _close(schema)
    return Draft7Validator(schema)


def _close(schema: object) -> None:
    """Refuse fields that a schema does not list, as the API server does with strict validation."""
    if isinstance(schema, list):
        for each in schema:
            _close(each)
    if not isinstance(schema, dict):
        return
    opened = {"additionalProperties", "x-kubernetes-preserve-unknown-fields"} & set(schema)
    if isinstance(schema.get("properties"), dict) and not opened:
        schema["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        schema.pop("type", None)
    for each in schema.values():
        _close(each)


def _triggers(document: dict[str, Any]) -> None:
    """KEDA's own table of scalers: their types, and the fields of each."""
    table = json.loads((shared() / "keda" / "scalers-schema.json").read_text("utf-8"))
    scalers = {each["type"]: each["parameters"] for each in table["scalers"]}
    for trigger in document["spec"]["triggers"]:
        readable = {each["name"] for each in scalers[trigger["type"]] if each.get("metadataVariableReadable")}
        assert set(trigger["metadata"]) <= readable | {f"{name}FromEnv" for name in readable}
