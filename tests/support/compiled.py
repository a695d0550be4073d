"""The example shop, compiled into a folder of the test's, and what is read back from there."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from celery import Celery
from places import EXAMPLES

from policycompiler import __version__, output
from policycompiler.compiler import compile_workload
from policycompiler.emitters.base import OutputFile
from policycompiler.plan import Plan
from policycompiler.plan.file import from_json

SHOP = EXAMPLES / "shop"


def compile_shop(
    folder: Path,
    *,
    environment: str | None = None,
    more: str = "",
    replace: tuple[str, str] | None = None,
    policy: str = "",
) -> Path:
    """The output folder of a compile of the example.

    `more` is the text of one more workload file; `replace` changes a text in the example's own. `policy` is
    the text of a policy file.
    """
    sources = folder / "workload"
    sources.mkdir()
    for source in SHOP.glob("*.yaml"):
        text = source.read_text("utf-8")
        (sources / source.name).write_text(text.replace(*replace) if replace else text, "utf-8")
    if more:
        (sources / "more.yaml").write_text(more, "utf-8")
    rules = folder / "policy.yaml"
    rules.write_text(policy or "version: 1\n", "utf-8")
    compilation = compile_workload([sources], environment=environment, policy=rules)
    assert not compilation.failed, compilation.diagnostics
    manifest = output.manifest_file(compilation.files, compilation.sources, __version__)
    written = output.write(folder / "build", [*compilation.files, manifest])
    assert not written.problems, written.problems
    return folder / "build"


def read_plan(build: Path) -> Plan:
    """The plan that a compile wrote."""
    return from_json((build / "plan.json").read_text("utf-8"))


def write_configuration(files: Iterable[OutputFile], folder: Path) -> None:
    """Write what Celery loads: `celeryconfig.py`, and what is shipped beside it."""
    for file in files:
        if file.path.startswith("celeryconfig") and file.path.endswith(".py"):
            path = folder / file.path
            path.parent.mkdir(exist_ok=True)
            path.write_text(file.text, "utf-8")


def configured_app(build: Path, variables: Mapping[str, str], *, namespace: str | None = None) -> Celery:
    """A Celery that has loaded `celeryconfig`, and nothing else of the shop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(build)
        sys.modules.pop("celeryconfig", None)
        for name, value in variables.items():
            patch.setenv(name, value)
        app = Celery("reader", set_as_current=False)
        app.config_from_object("celeryconfig", namespace=namespace)
        assert app.conf.task_default_queue, "reading a setting loads the configuration"
        return app
