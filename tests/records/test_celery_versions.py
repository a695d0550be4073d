"""What each Celery takes is what the packages say, and nothing comes out that the target does not have."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import click
import pytest
from celery import Celery
from celery.app.defaults import SETTING_KEYS, find
from celery.bin.base import CLIContext
from celery.bin.beat import beat
from celery.bin.celery import celery as command_line
from celery.bin.worker import worker
from places import DATA, EVERYTHING, ROOT

import policycompiler
from policycompiler.compiler import Compilation, compile_workload
from policycompiler.emitters.commands import Target, beat_command, worker_command
from policycompiler.knowledge import celery_settings as celery
from policycompiler.plan import APP, BEAT

SCRIPT = ROOT / ".ci" / "celery_versions.py"
RECORDED = Path(policycompiler.__file__).with_name("knowledge") / "celery_versions.json"
SOURCES = {
    "minimal": ROOT / "examples" / "minimal.yaml",
    "shop": ROOT / "examples" / "shop",
    "language": DATA / "language.yaml",
    **{path.stem: path for path in EVERYTHING.glob("*.yaml")},
}
VERSIONS = celery.known_versions()
NEWER = {"option-newer-than-target", "setting-newer-than-target", "transport-option-newer-than-target"}
LOWERED = 'version: 1\nextends: minimal\nseverities: {"*": warning}\n'


@cache
def script() -> ModuleType:
    spec = spec_from_file_location("celery_versions", SCRIPT)
    assert spec is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_says_what_the_installed_celery_says():
    """When this fails after an upgrade, `make celery-versions` writes the file anew; read what changed."""
    found = json.loads(json.dumps(script().read()))
    del found["packages"]
    told = {
        section: {
            name: {fact: value for fact, value in facts.items() if fact not in {"since", "until"}}
            for name, facts in celery.known(section).items()
        }
        for section in found
    }
    assert told == found


def test_it_has_every_setting_that_celery_lists_with_its_type_and_default():
    listed = {name for name, facts in celery.known("settings").items() if facts.get("listed", True)}
    assert listed == set(SETTING_KEYS)
    assert celery.known("settings")["worker_lost_wait"]["default"] == find("lost_wait", "worker").type.default


def test_it_is_as_the_script_writes_it():
    data = json.loads(RECORDED.read_text("utf-8"))
    packages = data.pop("packages")
    assert data.pop("versions") == list(script().VERSIONS) == VERSIONS
    sections = {name: {key: {"version": each} for key, each in at.items()} for name, at in packages.items()}
    assert script().as_text(sections, data) == RECORDED.read_text("utf-8")


def test_names_that_change_are_written_once_with_the_versions_that_have_them():
    of = {"5.3": {"a": {"type": "int"}, "b": {}}, "5.4": {"b": {}}, "5.5": {"b": {}, "c": {}}}
    newest = {"a": {"type": "bool"}, "b": {}, "c": {"default": 1}}
    found = {version: {"s": names} for version, names in (of | {"5.6": newest, "5.7": newest}).items()}
    assert script().merged(found)["s"] == {
        "a": [{"type": "int", "until": "5.3"}, {"since": "5.6", "type": "bool"}],
        "b": [{}],
        "c": [{"since": "5.5", "until": "5.5"}, {"since": "5.6", "default": 1}],
    }


def test_oldest_and_newest_are_those_of_the_file():
    assert (VERSIONS[0], VERSIONS[-1]) == (celery.OLDEST_CELERY, celery.NEWEST_CELERY)


def test_the_newest_celery_is_the_one_that_we_install():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["test"]]
    bounds = {
        each.partition(">=")[2]
        for each in asked
        if isinstance(each, str) and re.match(r"celery\b(\[|>)", each)
    }
    major, minor = celery.NEWEST_CELERY.split(".")
    assert bounds == {f"{major}.{minor},<{major}.{int(minor) + 1}"}


@pytest.mark.parametrize(
    ("version", "answers"),
    [("5.5", "5.5"), ("5.5.3", "5.5"), ("4.4", "5.3"), ("5", "5.3"), ("5.8", "5.7"), ("6.0", "5.7")],
)
def test_what_is_not_known_is_answered_for_by_the_nearest(version, answers):
    assert celery.nearest(version) == answers


@pytest.mark.parametrize(
    ("section", "name", "versions"),
    [
        ("settings", "task_acks_late", VERSIONS),
        ("settings", "worker_soft_shutdown_timeout", ["5.5", "5.6", "5.7"]),
        ("settings", "task_ack_late", []),
        ("task_options", "retry_on_worker_lost", ["5.7"]),
        ("flags:worker", "--disable-prefetch", ["5.6", "5.7"]),
        ("flags:beat", "--enable-remote-control", ["5.7"]),
        ("transport:redis", "client_name", ["5.3", "5.4", "5.6", "5.7"]),
        ("nowhere", "task_acks_late", []),
    ],
)
def test_the_versions_of_a_name(section, name, versions):
    assert list(celery.versions_of(section, name)) == versions


def test_neither_celery_nor_kombu_is_imported_for_it():
    code = (
        "from policycompiler.knowledge import celery_settings as c; import sys; c.known('settings'); "
        "print([name for name in sys.modules if name.partition('.')[0] in ('celery', 'kombu')])"
    )
    assert run_python(code) == "[]"


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def compiled_for(source: Path, version: str, folder: Path) -> Compilation:
    """A workload compiled for a Celery, what is too new in it only warned of."""
    sources = folder / "workload"
    sources.mkdir()
    files = sorted(source.glob("*.yaml")) if source.is_dir() else [source]
    texts = {path.name: path.read_text("utf-8") for path in files}
    pinned = re.compile(r'(?m)^(celery:\n  version: )"[^"]*"')
    given = [name for name, text in texts.items() if pinned.search(text)]
    for name, text in texts.items():
        last = "" if given or name != files[0].name else f'\ncelery: {{version: "{version}"}}\n'
        (sources / name).write_text(pinned.sub(rf'\g<1>"{version}"', text) + last, "utf-8")
    (folder / "policy.yaml").write_text(LOWERED, "utf-8")
    compilation = compile_workload([sources], policy=folder / "policy.yaml")
    assert not compilation.failed, compilation.diagnostics
    assert compilation.plan is not None
    assert compilation.plan.text(APP, "celery_version") == version
    return compilation


def emitted_settings(text: str) -> set[str]:
    assigned = [node.targets[0] for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    names = {target.id for target in assigned if isinstance(target, ast.Name)}
    return {name.removeprefix("CELERY_").lower() for name in names if not name.startswith("_")}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_nothing_is_emitted_that_this_celery_does_not_have(source, version, tmp_path):
    compilation = compiled_for(source, version, tmp_path)
    plan, files = compilation.plan, {file.path: file.text for file in compilation.files}
    # A pin of the user is in anyway, and said so.
    said = {str(found.path[-1]) for found in compilation.diagnostics if found.name in NEWER}
    settings = emitted_settings(files["celeryconfig.py"])
    assert "task_default_queue" in settings
    assert settings - said - set(celery.known("settings", version)) == set()
    options = {
        setting.key.removeprefix("options.")
        for setting in plan
        if setting.scope.kind == "task" and setting.key.startswith("options.")
    }
    assert options - said - set(celery.known("task_options", version)) == set()
    transport = celery.known(f"transport:{plan.text(APP, 'broker_transport')}", version)
    assert set(plan.get(APP, "broker_transport_options") or {}) - said - set(transport) == set()
    launched = {path: text for path, text in files.items() if path.startswith("launch/")}
    assert launched
    for path, text in launched.items():
        command = "beat" if path.endswith("beat.sh") else "worker"
        flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text.partition("exec ")[2]))
        known = {"--app", *celery.known(f"flags:{command}", version)}
        assert flags - known - {f"--{name.replace('_', '-')}" for name in said} == set()


def understood(command: click.Command, words: list[str]) -> dict[str, object]:
    """What the installed Celery makes of a command line."""
    app = Celery(set_as_current=False)
    parent = click.Context(command_line, obj=CLIContext(app=app, no_color=True, workdir=None))
    with command.make_context(command.name, words[words.index(command.name) + 1 :], parent=parent) as context:
        return context.params


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_the_installed_celery_understands_every_command_that_is_emitted(source, tmp_path):
    plan = compiled_for(source, celery.NEWEST_CELERY, tmp_path).plan
    for scope in plan.scopes("worker"):
        target = Target("{}1{}".format, "{}".format)
        words = [word for line in worker_command(plan, scope, "celery", target) for word in line]
        assert understood(worker, words)["queues"] == plan.value(scope, "queues")
    if plan.scopes("schedule"):
        words = [word for line in beat_command(plan, "celery", "schedule") for word in line]
        # A scheduler with another store is given no file, and Celery's own name of it stands.
        file = "schedule" if plan.get(BEAT, "store", "file") == "file" else "celerybeat-schedule"
        assert understood(beat, words)["schedule"] == file
