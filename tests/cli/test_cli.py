"""The command line as a user meets it: commands, options, exit codes, and what goes where."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner, Result

import policycompiler
from policycompiler import __version__, report
from policycompiler.cli import COMMANDS as NAMES
from policycompiler.cli import cli
from policycompiler.cli import command as command_named
from policycompiler.emitters import TARGETS

WORKLOAD = """\
version: 1
service: shop
app: shop.celery_app:app
broker: {transport: redis, url: "${CELERY_BROKER_URL}"}
tasks:
  shop.mail.send: {latency: interactive, idempotent: true, runtime: 3s}
environments:
  staging: {tasks: {shop.mail.send: {runtime: 1s}}}
  broken: {tasks: {shop.mail.send: {idempotent: false, retry: {on: [OSError]}}}}
"""
WARNING = WORKLOAD.replace(
    "environments:", "workers: {mail: {queues: [mail, 'x.*']}}\nqueues: {mail: {}}\nenvironments:"
)
INFO = WORKLOAD.replace("runtime: 3s}\n", "runtime: 3s, options: {compression: zstd}}\n", 1)
BROKEN = WORKLOAD.replace("latency: interactive", "latncy: interactive")

COMMANDS = ["check", "compile", "explain"]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder of a user without colors, with one workload in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    Path("workload.yaml").write_text(WORKLOAD, "utf-8")


def run(*arguments: str) -> Result:
    """A command in this process; an exception in it fails the test."""
    return CliRunner(catch_exceptions=False).invoke(cli, arguments, prog_name="policycompiler")


def program(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """The program itself."""
    command = [sys.executable, "-m", "policycompiler", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)


RECEIVERS = """\
version: 1
severities: {team-without-receiver: "off"}
parameters:
  notifications: {receivers: {chat: {slack: {api_url_file: /etc/alertmanager/url, channel: a}}}, default: chat}
"""


def put(text: str, name: str = "workload.yaml") -> None:
    Path(name).write_text(text, "utf-8")


def tree(folder: str = ".") -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def test_the_module_is_the_program():
    found = program("--version")
    assert (found.returncode, found.stdout, found.stderr) == (
        0,
        f"policycompiler, version {__version__}\n",
        "",
    )


@pytest.mark.parametrize(
    "arguments", [[], ["no-such-command"], ["check", "--env"], ["init", "."]], ids=" ".join
)
def test_wrong_use_of_the_program_ends_with_2_and_no_traceback(arguments):
    found = program(*arguments)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith(("Usage: policycompiler ", "Error: "))
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(("text", "code"), [(WORKLOAD, 0), (BROKEN, 1), ("", 1)])
def test_the_program_ends_as_its_command_does(text, code):
    put(text)
    assert program("check", "workload.yaml").returncode == code
    assert program("check", "--help").returncode == 0


def test_importing_the_module_runs_nothing():
    found = subprocess.run(
        [sys.executable, "-c", "import policycompiler.__main__"], capture_output=True, check=True
    )
    assert (found.stdout, found.stderr) == (b"", b"")


def test_a_program_gets_all_it_needs_from_the_package_itself():
    compilation = policycompiler.compile_workload([Path("workload.yaml")])
    assert isinstance(compilation, policycompiler.Compilation)
    assert isinstance(compilation.plan, policycompiler.Plan)
    put(BROKEN)
    (finding,) = policycompiler.compile_workload([Path("workload.yaml")]).diagnostics
    assert isinstance(finding, policycompiler.Diagnostic)
    assert finding.severity is policycompiler.Severity.ERROR
    assert all(hasattr(policycompiler, name) for name in policycompiler.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        policycompiler.nothing  # noqa: B018


@pytest.mark.parametrize("targets", [(), None])
def test_a_compilation_that_asks_for_no_target_makes_no_file(targets):
    compilation = policycompiler.compile_workload([Path("workload.yaml")], targets=targets)
    assert compilation.plan is not None
    assert bool(compilation.files) == (targets is None)


@pytest.mark.parametrize(
    ("arguments", "emits"),
    [
        (["check", "workload.yaml"], False),
        (["explain", "workload.yaml"], False),
        (["explain", "workload.yaml", "task:shop.mail.send/queue"], True),
        (["baseline", "write", "workload.yaml"], False),
        (["compile", "workload.yaml"], True),
    ],
    ids=str,
)
def test_only_what_shows_files_makes_them(arguments, emits, monkeypatch):
    made = []

    def emitted(*given: object) -> list[object]:
        made.append(given)
        return []

    monkeypatch.setattr("policycompiler.emitters.emit", emitted)
    assert run(*arguments).exit_code == 0
    assert bool(made) == emits


def test_an_interrupt_ends_with_130_and_no_traceback():
    tasks = "".join(f"  shop.t{number}: {{latncy: batch}}\n" for number in range(1000))
    put(WORKLOAD.partition("tasks:")[0] + "tasks:\n" + tasks)
    command = [sys.executable, "-m", "policycompiler", "check", "workload.yaml"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        # The rest is more than a pipe holds: the program is still printing.
        first = process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        rest, noise = process.communicate(timeout=60)
    assert (first, process.returncode) == (b"w", 130)
    assert b"1000 errors" not in rest
    assert noise.split() == [b"Interrupted."]


_INTERRUPTED_IMPORT = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == interrupted:
            os.kill(os.getpid(), signal.SIGINT)

interrupted = sys.argv[1]
sys.meta_path.insert(0, Interrupt())
from policycompiler.__main__ import main
sys.argv[1:] = ["compile", "workload.yaml"]
main()
"""


@pytest.mark.parametrize(
    "module",
    ["policycompiler.cli", "click", "yaml", "pydantic.main", "policycompiler.policies", "jinja2", "report"],
)
def test_an_interrupt_in_an_import_ends_with_130_and_no_traceback(module):
    command = [sys.executable, "-c", _INTERRUPTED_IMPORT, module]
    found = subprocess.run(command, capture_output=True, timeout=60, check=False)
    if module == "report":
        # No module has this name: without an interrupt, it compiles.
        assert found.returncode == 0
        return
    assert (found.returncode, found.stdout, found.stderr) == (130, b"", b"Interrupted.\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-"])
def test_a_closed_stream_is_no_traceback_and_changes_no_exit_code(closed):
    for text, code in ((WORKLOAD, 0), (BROKEN, 1)):
        put(text)
        words = f"{sys.executable} -m policycompiler check workload.yaml {closed}"
        found = subprocess.run(["sh", "-c", words], capture_output=True, timeout=60, check=False)
        assert (found.returncode, found.stderr) == (code, b"")


def test_without_a_command_the_commands_are_shown_as_wrong_use():
    found = run()
    assert found.exit_code == 2
    assert "Commands:" in found.output


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_command_has_help_and_every_option_too(name):
    command = command_named(name)
    for option in ("-h", "--help"):
        found = run(name, option)
        assert found.exit_code == 0
        assert found.stdout.startswith(f"Usage: policycompiler {name} ")
        assert found.stderr == ""
    assert command.help
    assert command.get_short_help_str(100).endswith(".")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help
            assert parameter.help.endswith(".")


@pytest.mark.parametrize(
    "arguments",
    [
        ["compile", "--no-such-option"],
        ["no-such-command"],
        ["check", "--output-format", "xml"],
        ["check", "--fail-on", "never"],
        ["check", "--color", "blue"],
        ["explain", "workload.yaml", "--fail-on", "info"],
        ["explain", "workload.yaml", "--output-file", "found"],
        ["explain", "workload.yaml", "--output-format", "concise"],
        ["explain", "workload.yaml", "--quiet"],
        ["compile", "--target", "nomad"],
        ["compile", "--stdout"],
        ["compile", "--stdout", "--target", "launch", "--target", "systemd"],
        ["schema", "policies"],
        ["init", "a", "b"],
        ["init", "workload.yaml"],
        ["check", "workload.yaml", "--output-file", "no/such/folder/findings.txt"],
        ["check", "workload.yaml", "--output-file", "."],
    ],
    ids=" ".join,
)
def test_wrong_use_ends_with_2_and_says_so_on_stderr(arguments):
    before = tree()
    found = run(*arguments)
    assert found.exit_code == 2
    assert found.stdout == ""
    assert "Error: " in found.stderr
    assert tree() == before


class TestInit:
    def test_the_starter_compiles_cleanly(self):
        Path("workload.yaml").unlink()
        found = run("init")
        assert (found.exit_code, found.stderr) == (0, "")
        assert (
            found.stdout
            == "wrote workload.yaml, policy.yaml, policycompiler.toml; next: policycompiler compile\n"
        )
        assert run("compile", "--fail-on", "info").exit_code == 0
        assert run("check", ".", "--fail-on", "info").exit_code == 0

    def test_a_new_folder_is_made(self):
        found = run("init", "a/b")
        assert found.exit_code == 0
        assert found.stdout.endswith("next: cd a/b; policycompiler compile\n")
        assert run("check", "a", "--policy", "a/b/policy.yaml").exit_code == 0
        assert "pass that file with `--policy`" in run("check", "a").stdout

    def test_a_second_time_nothing_is_written(self):
        found = run("init")
        assert (found.exit_code, found.stdout) == (2, "")
        assert "exists already; nothing was written" in found.stderr
        assert Path("workload.yaml").read_text("utf-8") == WORKLOAD

    def test_a_link_that_leads_nowhere_is_not_written_through(self):
        Path("new").mkdir()
        Path("new/workload.yaml").symlink_to(Path("elsewhere").absolute())
        assert run("init", "new").exit_code == 2
        assert not Path("elsewhere").exists()

    def test_a_folder_that_cannot_be_made_is_wrong_use(self):
        found = run("init", "workload.yaml/below")
        assert found.exit_code == 2
        assert "Not a directory" in found.stderr


class TestSources:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_without_any_the_exit_code_is_3(self, command):
        found = run(command)
        assert (found.exit_code, found.stdout) == (3, "")
        assert "no workload files found" in found.stderr
        assert not Path("build").exists()

    @pytest.mark.parametrize("command", COMMANDS)
    @pytest.mark.parametrize("more", [[], ["--env", "staging"], ["--output-format", "json"]], ids=" ".join)
    def test_of_an_empty_folder_the_exit_code_is_3(self, command, more):
        Path("empty/.hidden").mkdir(parents=True)
        put("nonsense", "empty/notes.txt")
        put("nonsense", "empty/.hidden/workload.yaml")
        found = run(command, "empty", *more)
        assert (found.exit_code, found.stdout) == (3, "")
        assert "no workload files found" in found.stderr

    @pytest.mark.parametrize("command", COMMANDS)
    def test_one_that_is_not_there_is_a_finding_with_its_name(self, command):
        found = run(command, "no/such.yaml")
        assert found.exit_code == 1
        assert found.stdout.startswith(
            "no/such.yaml:1:1: error[PC001] unreadable-file: cannot be read: No such file or directory\n"
        )

    def test_one_that_may_not_be_read_is_a_finding(self):
        Path("secret.yaml").mkdir()
        Path("pipe").mkdir()
        os.mkfifo("pipe/workload.yaml")
        found = run("check", "pipe")
        assert found.exit_code == 1
        assert "it is a pipe, not a file" in found.stdout

    def test_a_folder_is_read_with_all_below_it_in_order(self):
        Path("workloads/teams").mkdir(parents=True)
        put(WORKLOAD, "workloads/base.yml")
        put("tasks: {shop.b: {latncy: x}}", "workloads/teams/b.yaml")
        put("tasks: {shop.a: {latncy: x}}", "workloads/a.yaml")
        found = run("check", "workloads", "--output-format", "concise")
        assert re.findall(r"^(\S+?):", found.stdout, re.MULTILINE)[:2] == [
            "workloads/a.yaml",
            "workloads/teams/b.yaml",
        ]

    def test_a_name_that_is_not_utf_8_can_be_printed(self):
        path = os.fsdecode(b"caf\xe9.yaml")
        put("service: [", path)
        found = program("check", path)
        assert found.returncode == 1
        assert "caf" in found.stdout


class TestCheck:
    def test_a_good_workload_is_counted_and_nothing_is_written(self):
        before = tree()
        found = run("check", "workload.yaml")
        assert (found.exit_code, found.stderr) == (0, "")
        assert re.fullmatch(
            r"1 task, \d+ queues?, \d+ workers?, 0 schedules: nothing to report\n", found.stdout
        )
        assert tree() == before

    def test_a_bad_one_is_shown_like_a_compiler_does(self):
        put(BROKEN)
        found = run("check", "workload.yaml")
        assert (found.exit_code, found.stderr) == (1, "")
        assert found.stdout == (
            "workload.yaml:6:20: error[PC101] unknown-key: unknown key `latncy`\n"
            "  |\n"
            "6 |   shop.mail.send: {latncy: interactive, idempotent: true, runtime: 3s}\n"
            "  |                    ^^^^^^\n"
            "  = help: did you mean `latency`?\n"
            "  = more: policycompiler finding PC101\n"
            "\n"
            "1 error in 1 file, 1 task\n"
        )

    @pytest.mark.parametrize(
        ("text", "fails"),
        [
            (WORKLOAD, set()),
            (INFO, {"info"}),
            (WARNING, {"warning", "info"}),
            (BROKEN, {"error", "warning", "info"}),
        ],
        ids=["clean", "info", "warning", "error"],
    )
    @pytest.mark.parametrize("threshold", ["error", "warning", "info"])
    @pytest.mark.parametrize("command", ["check", "compile"])
    def test_a_finding_at_or_above_the_threshold_ends_with_1(self, command, text, fails, threshold):
        put(text)
        found = run(command, "workload.yaml", "--fail-on", threshold)
        assert found.exit_code == (1 if threshold in fails else 0), found.output
        assert Path("build").exists() == (command == "compile" and threshold not in fails)

    def test_json_is_what_the_schema_of_findings_says(self):
        put(BROKEN)
        found = run("check", "workload.yaml", "--output-format", "json")
        assert (found.exit_code, found.stderr) == (1, "")
        document = json.loads(found.stdout)
        assert document["format"] == 1
        assert document["summary"] == {
            "errors": 1,
            "warnings": 0,
            "infos": 0,
            "waived": 0,
            "hidden_by_baseline": 0,
            "files": 1,
            "tasks": 1,
        }
        (finding,) = document["findings"]
        assert finding == {
            "code": "PC101",
            "name": "unknown-key",
            "severity": "error",
            "message": "unknown key `latncy`",
            "path": ["tasks", "shop.mail.send", "latncy"],
            "file": "workload.yaml",
            "line": 6,
            "column": 20,
            "help": "did you mean `latency`?",
            "fixable": bool(finding["fixable"]),
            "related": [],
            "waived": None,
        }

    def test_concise_is_a_line_a_finding(self):
        put(BROKEN.replace("runtime: 3s", "runtime: soon"))
        lines = run("check", "workload.yaml", "--output-format", "concise").stdout.splitlines()
        assert len(lines) == 3
        assert all(re.match(r"workload\.yaml:6:\d+: error\[PC\d{3}\] [a-z-]+: ", line) for line in lines[:2])

    def test_an_environment_is_applied(self):
        assert run("check", "workload.yaml", "--env", "staging").exit_code == 0
        found = run("check", "workload.yaml", "--env", "broken")
        assert found.exit_code == 1
        assert found.stdout.startswith("workload.yaml:9:")

    @pytest.mark.parametrize("name", ["production", ""])
    def test_an_environment_that_is_not_there_is_a_finding(self, name):
        found = run("check", "workload.yaml", "--env", name)
        assert found.exit_code == 1
        assert f"no file has an environment `{name}`; known environments: broken, staging" in found.stdout

    @pytest.mark.parametrize("output_format", report.FORMATS)
    def test_findings_go_into_a_file_when_asked(self, output_format):
        put(BROKEN)
        printed = run("check", "workload.yaml", "--output-format", output_format)
        filed = run("check", "workload.yaml", "--output-format", output_format, "--output-file", "found")
        assert (filed.exit_code, filed.output) == (1, "")
        assert Path("found").read_text("utf-8") == printed.stdout

    def test_a_quiet_run_without_findings_prints_nothing(self):
        assert run("check", "workload.yaml", "-q").output == ""
        assert run("compile", "workload.yaml", "--quiet").output == ""
        put(BROKEN)
        assert "unknown key `latncy`" in run("check", "workload.yaml", "--quiet").stdout

    def test_a_quiet_run_in_json_is_json_all_the_same(self):
        found = run("check", "workload.yaml", "--quiet", "--output-format", "json")
        assert json.loads(found.stdout)["findings"] == []

    @pytest.mark.parametrize("output_format", sorted(report.DOCUMENT_FORMATS))
    def test_a_document_for_a_machine_has_standard_output_to_itself(self, output_format):
        checked = run("check", "workload.yaml", "--quiet", "--output-format", output_format)
        assert checked.stdout
        compared = run("compile", "workload.yaml", "--check", "--output-format", output_format)
        assert (compared.exit_code, compared.stdout) == (1, checked.stdout)
        assert "missing: build/celeryconfig.py" in compared.stderr


class TestColor:
    @pytest.mark.parametrize(
        ("arguments", "variables", "colored"),
        [
            ([], {}, False),
            ([], {"FORCE_COLOR": "1"}, True),
            ([], {"NO_COLOR": "1"}, False),
            ([], {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
            ([], {"NO_COLOR": "", "FORCE_COLOR": "1"}, True),
            (["--color", "always"], {}, True),
            (["--color", "always"], {"NO_COLOR": "1"}, True),
            (["--color", "never"], {"FORCE_COLOR": "1"}, False),
            (["--color", "auto"], {"FORCE_COLOR": "1"}, True),
            (["--color", "always", "--output-format", "json"], {}, False),
        ],
    )
    def test_it_is_there_when_wanted(self, arguments, variables, colored, monkeypatch):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        put(BROKEN)
        found = run("check", "workload.yaml", *arguments)
        assert ("\x1b[" in found.stdout) == colored

    def test_there_is_none_in_a_file(self):
        put(BROKEN)
        run("check", "workload.yaml", "--color", "always", "--output-file", "found")
        assert "\x1b" not in Path("found").read_text("utf-8")


class TestCompile:
    def test_every_target_is_written_into_build(self):
        found = run("compile", "workload.yaml")
        assert found.exit_code == 0
        assert re.fullmatch(r"1 task, .*: nothing to report\n", found.stdout)
        assert re.fullmatch(r"wrote \d+ files to build\n", found.stderr)
        written = {path.relative_to("build").parts[0] for path in Path("build").rglob("*")}
        assert written == {
            *("celeryconfig.py", "routing.json", "ROUTING.md", "launch", "Procfile", "systemd"),
            *(
                "supervisor",
                "prometheus",
                "RUNBOOK.md",
                "grafana",
                "redis",
                "plan.json",
                "manifest.json",
                ".env.example",
            ),
        }
        assert json.loads(Path("build/manifest.json").read_text("utf-8"))["format"] == 1

    def test_a_second_time_there_is_nothing_to_do(self):
        run("compile", "workload.yaml")
        before = tree()
        found = run("compile", "workload.yaml")
        assert (found.exit_code, found.stderr) == (0, "build is up to date\n")
        assert tree() == before

    @pytest.mark.parametrize("option", ["-o", "--output"])
    def test_another_folder_can_be_named(self, option):
        found = run("compile", "workload.yaml", option, "out/deep")
        assert found.exit_code == 0
        assert Path("out/deep/celeryconfig.py").is_file()

    def test_after_an_error_nothing_is_written(self):
        run("compile", "workload.yaml")
        before = tree("build")
        put(BROKEN)
        found = run("compile", "workload.yaml")
        assert (found.exit_code, found.stderr) == (1, "nothing was written\n")
        assert tree("build") == before

    def test_some_targets_can_be_chosen(self):
        found = run("compile", "workload.yaml", "--target", "launch", "--target", "routing")
        assert found.exit_code == 0
        assert set(tree("build")) == {
            f"build/{name}"
            for name in (
                *("Procfile", "ROUTING.md", "launch/shop.interactive.io.sh", "manifest.json", "plan.json"),
                "routing.json",
            )
        } | {path for path in tree("build") if path.startswith("build/launch/")}

    @pytest.mark.parametrize("target", TARGETS)
    def test_every_target_can_be_printed(self, target):
        # Kubernetes has an overlay for each environment, and a warning for one with errors.
        fine = "".join(line for line in WORKLOAD.splitlines(keepends=True) if "broken:" not in line)
        put(fine + 'deploy: {image: "registry.example/shop:1.4.2"}\n')
        put(RECEIVERS, "policy.yaml")
        policy = ("--policy", "policy.yaml")
        found = run("compile", "workload.yaml", "--stdout", "--target", target, *policy)
        assert (found.exit_code, found.stderr) == (0, "")
        assert "==> plan.json" not in found.stdout
        run("compile", "workload.yaml", "--target", target, *policy)
        written = [
            data.decode()
            for path, data in tree("build").items()
            if Path(path).name not in {"plan.json", "manifest.json"}
        ]
        # The broker of this workload is Redis.
        assert bool(written) == (target != "rabbitmq")
        assert all(text in found.stdout for text in written)
        assert (found.stdout == "".join(written)) == (len(written) <= 1)

    @pytest.mark.parametrize("more", [[], ["--quiet"], ["--output-format", "concise"]], ids=" ".join)
    def test_what_is_printed_is_the_files_alone_and_findings_stand_aside(self, more):
        put(WARNING)
        found = run("compile", "workload.yaml", "--stdout", "--target", "celeryconfig", *more)
        assert found.exit_code == 0
        assert "workload.yaml:7:" in found.stderr
        assert "warning[PC" in found.stderr
        run("compile", "workload.yaml")
        assert found.stdout == Path("build/celeryconfig.py").read_text("utf-8")
        put(BROKEN)
        found = run("compile", "workload.yaml", "--stdout", "--target", "celeryconfig", *more)
        assert (found.exit_code, found.stdout) == (1, "")
        assert "unknown key `latncy`" in found.stderr

    def test_a_folder_inside_of_a_source_is_not_read_again(self):
        for folder in ("build", "build", "out/deep"):
            found = run("compile", ".", "-o", folder)
            assert found.exit_code == 0, found.output
        assert found.stderr == f"wrote {len(tree('out'))} files to out/deep\n"
        assert run("compile", ".", "--check").exit_code == 0

    def test_a_check_says_what_is_stale_and_writes_nothing(self):
        found = run("compile", "workload.yaml", "--check")
        assert found.exit_code == 1
        assert "missing: build/celeryconfig.py\n" in found.stdout
        assert not Path("build").exists()
        run("compile", "workload.yaml")
        assert run("compile", "workload.yaml", "--check").exit_code == 0
        put(WORKLOAD.replace("runtime: 3s", "runtime: 4s"))
        before = tree()
        found = run("compile", "workload.yaml", "--check")
        assert found.exit_code == 1
        assert "stale: build/celeryconfig.py\n" in found.stdout
        assert "run `policycompiler compile`" in found.stdout
        assert tree() == before

    def test_a_check_names_what_is_orphaned_missing_and_edited(self):
        run("compile", "workload.yaml")
        Path("build/routing.json").write_text("{}", "utf-8")
        Path("build/Procfile").unlink()
        found = run("compile", "workload.yaml", "--check", "--target", "routing", "--target", "launch")
        assert found.exit_code == 1
        lines = found.stdout.splitlines()
        assert {"edited: build/routing.json", "missing: build/Procfile"} <= set(lines)
        assert "orphaned: build/celeryconfig.py" in lines

    def test_a_diff_is_one_that_git_applies(self):
        run("compile", "workload.yaml")
        put(WORKLOAD.replace("runtime: 3s", "runtime: 4s"))
        before = tree("build")
        found = run("compile", "workload.yaml", "--diff")
        assert found.exit_code == 0
        assert "nothing to report" in found.stderr
        assert run("compile", "workload.yaml", "--diff", "--quiet").output == found.stdout
        assert tree("build") == before
        put(found.stdout, "change.diff")
        subprocess.run(["git", "apply", "--directory=build", "change.diff"], check=True, capture_output=True)
        assert run("compile", "workload.yaml", "--check").exit_code == 0

    def test_an_edit_by_hand_is_not_overwritten_without_force(self):
        run("compile", "workload.yaml")
        put("edited", "build/ROUTING.md")
        found = run("compile", "workload.yaml")
        assert found.exit_code == 1
        assert "build/ROUTING.md:1:1: error[PC901] edited-by-hand: " in found.stdout
        assert "wrote" not in found.output
        assert Path("build/ROUTING.md").read_text("utf-8") == "edited"
        found = run("compile", "workload.yaml", "--force")
        assert (found.exit_code, found.stderr) == (0, "wrote 1 file to build\n")
        assert Path("build/ROUTING.md").read_text("utf-8").startswith("# Routing of shop")

    def test_a_neighbour_that_is_not_ours_is_left_alone(self):
        Path("build").mkdir()
        put("mine", "build/notes.txt")
        assert run("compile", "workload.yaml").exit_code == 0
        assert Path("build/notes.txt").read_text("utf-8") == "mine"

    @pytest.mark.parametrize("folder", [".", "..", "/", "workload.yaml", "workload.yaml/below", ""])
    def test_a_folder_that_cannot_be_used_is_a_finding_and_nothing_is_written(self, folder):
        before = tree()
        found = run("compile", "workload.yaml", "--output", folder)
        assert found.exit_code == 1
        assert "error[PC903] unwritable-output: " in found.stdout
        assert not found.stdout.startswith("workload.yaml:2:")
        assert "wrote" not in found.output
        assert tree() == before

    def test_sources_outside_of_the_current_folder_leave_no_trace_of_where_they_are(self, tmp_path):
        Path("below").mkdir()
        os.chdir("below")
        assert run("compile", str(tmp_path / "workload.yaml")).exit_code == 0
        assert not [path for path, data in tree("build").items() if str(tmp_path).encode() in data]


class TestExplain:
    def test_without_an_address_every_task_is_a_line(self):
        found = run("explain", "workload.yaml")
        assert (found.exit_code, found.stderr) == (0, "")
        lines = found.stdout.splitlines()
        assert lines[0].split() == ["task", "queue", "worker", "delivery", "limits", "retries"]
        assert lines[1].startswith("shop.mail.send  shop.interactive.io  shop.interactive.io  ")

    def test_the_overview_in_json_has_the_same(self):
        found = run("explain", "workload.yaml", "--output-format", "json")
        document = json.loads(found.stdout)
        assert document["format"] == 1
        (task,) = document["tasks"]
        assert task["task"] == "shop.mail.send"
        assert task["queue"] == task["worker"] == "shop.interactive.io"

    def test_an_address_is_explained_down_to_the_line(self):
        found = run("explain", "workload.yaml", "task:shop.mail.send/time_limit")
        assert (found.exit_code, found.stderr) == (0, "")
        assert "workload.yaml:6:69" in found.stdout

    def test_a_scope_lists_its_settings(self):
        found = run("explain", "workload.yaml", "task:shop.mail.send")
        assert found.exit_code == 0
        assert re.search(r"^  acks_late +=", found.stdout, re.MULTILINE)

    @pytest.mark.parametrize(
        "address", ["task:shop.mail.send/time_limit", "task:shop.mail.send", "app", "app/service"]
    )
    def test_json_is_the_same_for_machines(self, address):
        found = run("explain", "workload.yaml", address, "--output-format", "json")
        assert (found.exit_code, found.stderr) == (0, "")
        document = json.loads(found.stdout)
        assert document["format"] == 1
        assert document["asked"]
        assert set(document["asked"]) <= set(document["settings"])

    @pytest.mark.parametrize(
        ("address", "nearest"),
        [
            ("task:shop.mail.sent", "task:shop.mail.send"),
            ("task:shop.mail.send/timelimit", "task:shop.mail.send/time_limit"),
            ("app/broker_pool_limits", "app/broker_pool_limit"),
        ],
    )
    @pytest.mark.parametrize("output_format", ["full", "json"])
    def test_an_unknown_address_names_the_nearest_ones(self, address, nearest, output_format):
        found = run("explain", "workload.yaml", address, "--output-format", output_format)
        assert (found.exit_code, found.stdout) == (1, "")
        assert f"the plan has no setting `{address}`" in found.stderr
        assert nearest in found.stderr

    def test_a_file_that_looks_like_an_address_is_a_file(self):
        put(WORKLOAD, "app")
        assert run("explain", "app").stdout.startswith("task ")

    def test_of_a_bad_workload_the_findings_are_shown(self):
        put(BROKEN)
        found = run("explain", "workload.yaml", "app")
        assert found.exit_code == 1
        assert found.stdout.startswith("workload.yaml:6:20: error[PC101] unknown-key: ")


class TestProject:
    @pytest.mark.parametrize(
        ("name", "head"), [("pyproject.toml", "[tool.policycompiler]\n"), ("policycompiler.toml", "")]
    )
    def test_it_says_what_the_command_line_leaves_out(self, name, head):
        put(
            f'{head}sources = ["workload.yaml"]\nenv = "staging"\noutput = "out"\ntargets = ["launch"]\n',
            name,
        )
        found = run("compile")
        assert found.exit_code == 0
        assert "out/Procfile" in tree("out")
        assert "out/celeryconfig.py" not in tree("out")
        assert not Path("build").exists()
        assert "runtime.p99" not in found.output
        plan = json.loads(Path("out/plan.json").read_text("utf-8"))["settings"]
        assert plan["task:shop.mail.send"]["runtime_p99_seconds"]["value"] == 1

    def test_the_command_line_beats_it(self):
        put(
            'sources = ["nowhere.yaml"]\nenv = "broken"\noutput = "out"\ntargets = ["launch"]\n',
            "policycompiler.toml",
        )
        found = run(
            *("compile", "workload.yaml", "--env", "staging", "-o", "other", "--target", "celeryconfig")
        )
        assert found.exit_code == 0, found.output
        assert "other/celeryconfig.py" in tree("other")
        assert not Path("out").exists()

    def test_its_own_file_beats_the_table_in_pyproject(self):
        put('sources = ["workload.yaml"]\n', "policycompiler.toml")
        put("[tool.policycompiler]\nnonsense = 1\n", "pyproject.toml")
        assert run("check").exit_code == 0

    @pytest.mark.parametrize("text", ["", "[project]\nname = 'x'\n", "[tool.ruff]\n", "tool = 5\n"])
    def test_a_pyproject_that_says_nothing_of_it_is_none(self, text):
        put(text, "pyproject.toml")
        assert run("check").exit_code == 3
        assert run("check", "workload.yaml").exit_code == 0

    @pytest.mark.parametrize("command", COMMANDS)
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("sources = 'workload.yaml'", "`sources` must be a list of strings"),
            ("sources = [1]", "`sources` must be a list of strings"),
            ("env = ['staging']", "`env` must be a string"),
            ("output = 1", "`output` must be a string"),
            ("targets = 'launch'", "`targets` must be a list of strings"),
            ("targets = ['nomad']", "unknown target `nomad`; allowed: celeryconfig, "),
            ("source = []", "unknown key `source`; allowed: sources, "),
            ("sources = [", "policycompiler.toml: "),
            ("\x00", "policycompiler.toml: "),
        ],
    )
    def test_what_it_says_wrong_is_wrong_use(self, command, text, message):
        put(text, "policycompiler.toml")
        found = run(command, "workload.yaml")
        assert (found.exit_code, found.stdout) == (2, "")
        assert message in found.stderr
        assert not Path("build").exists()

    def test_a_table_that_is_none_is_wrong_use(self):
        put("[tool]\npolicycompiler = 5\n", "pyproject.toml")
        found = run("check", "workload.yaml")
        assert found.exit_code == 2
        assert "`tool.policycompiler` must be a table" in found.stderr

    def test_one_that_is_no_text_is_wrong_use(self):
        Path("pyproject.toml").write_bytes(b"\xff")
        assert run("check", "workload.yaml").exit_code == 2


def test_the_schema_is_json_and_the_same_without_a_name():
    found = run("schema")
    assert (found.exit_code, found.stderr) == (0, "")
    assert json.loads(found.stdout)["$schema"].startswith("https://json-schema.org/")
    assert run("schema", "workload").stdout == found.stdout


@pytest.mark.parametrize("command", [["check"], ["explain"], ["compile", "--stdout", "--target", "systemd"]])
def test_a_reader_that_goes_away_makes_no_noise(command):
    put(BROKEN if command == ["check"] else WORKLOAD)
    process = subprocess.Popen(
        [sys.executable, "-m", "policycompiler", *command, "workload.yaml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(60) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_a_full_disk_is_said_without_a_traceback():
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "policycompiler", "explain", "workload.yaml"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert found.returncode == 2
    assert "No space left on device" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_bug_is_no_finding(monkeypatch, capsys):
    from policycompiler import cli as command_line  # noqa: PLC0415

    def broken(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(command_line, "cli", broken)
    # What interrupts this test is none of the program's business.
    monkeypatch.setattr(command_line, "interrupts", SimpleNamespace(raise_once=int, end_at_once=int))
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 2
    assert "This is a bug in policycompiler" in capsys.readouterr().err


def test_the_same_bytes_come_out_whatever_the_locale_and_the_hash_seed():
    outputs = []
    for seed, locale in (("1", "C"), ("2", "C.UTF-8"), ("3", "POSIX")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale, "PYTHONUTF8": "0"}
        found = program("compile", "workload.yaml", "--output", f"out{seed}", "--quiet", env=environment)
        assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
        outputs.append({Path(path).name: data for path, data in tree(f"out{seed}").items()})
    assert outputs[0] == outputs[1] == outputs[2]
