"""Where others run us: pre-commit's hooks, Celery's command line, and the pipelines of docs/ci.md."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from places import ROOT

from policycompiler import report
from policycompiler.cli import COMMANDS as NAMES
from policycompiler.cli import cli
from policycompiler.cli import command as command_named

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGE = (ROOT / "docs" / "ci.md").read_text()
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
BROKEN = """\
version: 1
service: shop
app: shop:app
broker: {transport: redis, url: "${U}"}
tasks: {shop.a: {idempotent: false, retry: {on: [OSError]}}}
"""

pytestmark = pytest.mark.usefixtures("_in_folder")


@pytest.fixture
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("workloads").mkdir()
    shutil.copy(ROOT / "examples" / "minimal.yaml", "workloads/hello.yaml")


def run(command: str) -> Result:
    """A command line that begins with our own program."""
    program, *arguments = shlex.split(command)
    assert program in PROJECT["scripts"]
    return CliRunner().invoke(cli, arguments)


def test_the_hooks_pass_and_fail_as_they_should() -> None:
    check, compile_ = (hook["entry"] for hook in HOOKS)
    Path("policycompiler.toml").write_text('sources = ["workloads"]\n')
    assert run(check).exit_code == 0
    assert run(compile_).exit_code == 1
    assert run("policycompiler compile").exit_code == 0
    assert run(compile_).exit_code == 0
    Path("workloads/hello.yaml").write_text(BROKEN)
    assert [run(check).exit_code, run(compile_).exit_code] == [1, 1]


def test_the_hooks_look_at_all_sources_whatever_changed() -> None:
    assert [hook["pass_filenames"] for hook in HOOKS] == [False, False]
    assert {hook["language"] for hook in HOOKS} == {"python"}
    files = re.compile(HOOKS[0]["files"])
    assert all(
        map(files.search, ["w/a.yaml", "a.yml", "policycompiler.toml", "policycompiler-baseline.json"])
    )


def test_the_page_names_the_hooks_and_every_format() -> None:
    (config,) = (block for block in re.findall(r"```yaml\n(repos:.*?)```", PAGE, re.DOTALL))
    ((repository),) = yaml.safe_load(config)["repos"]
    assert [hook["id"] for hook in repository["hooks"]] == [hook["id"] for hook in HOOKS]
    assert re.findall(r"(?m)^\| `([a-z]+)`", PAGE) == list(report.FORMATS)


COMMANDS = re.findall(r"policycompiler (?:check|baseline write) workloads[^\n`>]*", PAGE)


@pytest.mark.parametrize("command", sorted({command.strip() for command in COMMANDS}))
def test_the_commands_of_the_page_work(command: str) -> None:
    assert run(command).exit_code == 0
    for file in re.findall(r"--output-file (\S+)", command):
        assert Path(file).stat().st_size


@pytest.mark.parametrize("command", sorted({*re.findall(r"policycompiler compile [^\n`#]*", PAGE)}))
def test_a_folder_that_is_committed_is_compared(command: str) -> None:
    assert run(command).exit_code == 1
    assert run(command.replace(" --check", "")).exit_code == 0
    assert run(command).exit_code == 0


@pytest.fixture(scope="module")
def celery(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """`celery` where the project is installed, as pyproject.toml says, whether it is or not."""
    folder = tmp_path_factory.mktemp("installed")
    information = folder / "as_installed-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: as-installed\nVersion: 1\n")
    points = PROJECT["entry-points"]["celery.commands"]
    lines = ["[celery.commands]", *(f"{name} = {target}" for name, target in points.items())]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    start = [
        "import sys",
        f"sys.path.append({str(folder)!r})",
        "sys.argv[0] = 'celery'",
        "from celery.__main__ import main",
        "sys.exit(main())",
    ]
    return [sys.executable, "-c", "; ".join(start)]


def celery_policy(celery: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*celery, "policy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_celery_has_every_command(celery: list[str]) -> None:
    shown = celery_policy(celery, "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("Usage: celery policy ")
    assert re.findall(r"(?m)^  ([a-z-]+)  ", shown.stdout.partition("Commands:")[2]) == sorted(NAMES)


def test_celery_ends_as_the_program_does(celery: list[str]) -> None:
    clean = celery_policy(celery, "check", "workloads")
    assert (clean.returncode, clean.stderr) == (0, "")
    assert clean.stdout == run("policycompiler check workloads").stdout
    Path("workloads/hello.yaml").write_text(BROKEN)
    found = celery_policy(celery, "check", "workloads", "--output-format", "concise")
    assert (found.returncode, found.stderr) == (1, "")
    assert found.stdout == run("policycompiler check workloads --output-format concise").stdout
    wrong = celery_policy(celery, "check", "--nonsense")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "Usage: celery policy check " in wrong.stderr
    assert "Error: No such option '--nonsense'" in wrong.stderr
    Path("workloads/hello.yaml").unlink()
    nothing = celery_policy(celery, "check", "workloads")
    assert (nothing.returncode, nothing.stdout) == (3, "")


def test_a_bug_below_celery_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    module, _, name = PROJECT["entry-points"]["celery.commands"]["policy"].partition(":")
    policy = getattr(import_module(module), name)

    def break_(*_: object, **__: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(command_named("check"), "callback", break_)
    broken = CliRunner().invoke(policy, ["check", "workloads"])
    assert broken.exit_code == 2
    assert broken.stderr.endswith("This is a bug in policycompiler.\n")


def test_celery_does_not_import_the_compiler_before_it_is_asked_for() -> None:
    code = (
        "import sys; from importlib import import_module; import_module('policycompiler.celery_command'); "
        "print([name for name in sys.modules if name.startswith('policycompiler.') or name == 'pydantic'])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout == "['policycompiler.celery_command']\n"
