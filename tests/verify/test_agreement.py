"""What a compiled file says instead of its plan: PC805 file-disagrees, with the place and both values."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from places import EVERYTHING
from workloads import workload

from policycompiler.compiler import compile_workload
from policycompiler.diagnostics import Diagnostic
from policycompiler.output import manifest_file, write
from policycompiler.plan import Plan
from policycompiler.reality.checkers import check
from policycompiler.verify import files

BEAT = "systemd/one/everything-beat.service"
CONF = "supervisor/one/everything.conf"
CASES = {
    "a stop": (
        CONF,
        "stopwaitsecs=3600",
        "stopwaitsecs=10",
        "worker pinned: a stop waits `10.0` seconds, planned 3600",
    ),
    "processes": (CONF, "numprocs=2", "numprocs=3", "worker pinned: 3 processes start, planned 2"),
    "queues": (
        "launch/pinned.sh",
        "--queues pinned,broadcast,chosen",
        "--queues pinned",
        "worker pinned: `--queues` is `pinned`, planned `pinned,broadcast,chosen`",
    ),
    "an app": (
        "launch/beat.sh",
        "everything.other:app",
        "everything.app:app",
        "beat: `--app` is `everything.app:app`, planned `everything.other:app`",
    ),
    "a value of a document": (
        "compose.yaml",
        'stop_grace_period: "3600s"',
        'stop_grace_period: "10s"',
        '`services.worker-pinned.stop_grace_period`: is "10s", planned "3600s"',
    ),
    "a setting": (
        "celeryconfig.py",
        "CELERY_RESULT_EXPIRES = 7200",
        "CELERY_RESULT_EXPIRES = 72",
        "`CELERY_RESULT_EXPIRES`: has another value than planned",
    ),
    "a line": (BEAT, "ProtectHome=yes", "ProtectHome=no", "`ProtectHome=yes`: is missing"),
    "a unit that nobody starts": (
        "systemd/two/everything-celery.target",
        "Wants=everything-worker-rest@3.service\n",
        "",
        "the target does not start `everything-worker-rest@3.service`",
    ),
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> tuple[Plan, Path]:
    made = compile_workload([EVERYTHING / "redis.yaml"])
    folder = tmp_path_factory.mktemp("agreement") / "build"
    write(folder, [*made.files, manifest_file(made.files, made.sources, "0")])
    assert made.plan is not None
    return made.plan, folder


def disagreements(plan: Plan, build: Path) -> list[Diagnostic]:
    names = [path.relative_to(build).as_posix() for path in build.rglob("*") if path.is_file()]
    found = [*files.disagreements(plan, build, names, names)]
    assert {each.name for each in found} <= {"file-disagrees"}
    return found


@pytest.mark.parametrize(("file", "old", "new", "message"), CASES.values(), ids=CASES)
def test_a_changed_value_is_told_with_the_planned_one(compiled, tmp_path, file, old, new, message):
    plan, folder = compiled
    build = shutil.copytree(folder, tmp_path / "build")
    text = (build / file).read_text("utf-8")
    assert old in text
    (build / file).write_text(text.replace(old, new, 1), "utf-8")
    found = disagreements(plan, build)
    assert message in [each.message for each in found]
    assert {Path(each.place.file).relative_to(build).as_posix() for each in found} == {file}


def test_a_process_of_no_plan_is_told(compiled, tmp_path):
    plan, folder = compiled
    build = shutil.copytree(folder, tmp_path / "build")
    script = (build / "launch/rest.sh").read_text("utf-8").replace("worker@rest.", "worker@nobody.")
    (build / "launch/rest.sh").write_text(script, "utf-8")
    assert [each.message for each in disagreements(plan, build)] == [
        "worker rest: `--hostname` is `worker@nobody.1.%h`, planned `worker@rest.1.%h`"
    ]


@pytest.mark.parametrize("transport", ["redis", "rabbitmq"])
def test_names_with_characters_of_shells_and_templates_agree(transport, tmp_path):
    queues = (
        "<script>alert(1)</script>",
        "$value ${x}",
        "{{ .Labels }}",
        "a'b\"c\\d",
        "a.+(b)[c]^$?",
        "time",
        "größe",
    )
    tasks = "".join(
        f"  shop.t{number}: {{queue: {json.dumps(name)}}}\n" for number, name in enumerate(queues)
    )
    (tmp_path / "workload.yaml").write_text(
        workload(f"broker: {{transport: {transport}, url: '${{B}}'}}\ntasks:\n{tasks}"), "utf-8"
    )
    made = compile_workload([tmp_path / "workload.yaml"])
    assert made.plan is not None, made.diagnostics
    write(tmp_path / "build", [*made.files, manifest_file(made.files, made.sources, "0")])
    assert not disagreements(made.plan, tmp_path / "build")
    scripts = [file.path for file in made.files if file.path.endswith(".sh")]
    assert not check(tmp_path / "build", scripts, {}).problems
