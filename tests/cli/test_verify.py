"""`verify` and `status` where there is no broker: rules, formats, exit codes, metrics."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator
from live_demo import planned, workload
from places import ROOT
from processes import running, wait_until
from servers import free_port

from policycompiler.cli import cli
from policycompiler.report import FORMATS

NOWHERE = "redis://:sekret@127.0.0.1:1/0"
FINDING = {"finding": "broker-unreachable", "at": "broker", "reason": "no broker here", "owner": "demo"}


def run(*words: str | Path) -> Result:
    return CliRunner(catch_exceptions=False).invoke(cli, [str(word) for word in words])


@pytest.fixture
def source(tmp_path) -> Path:
    return written(tmp_path)


def written(folder: Path, **changes: object) -> Path:
    path = folder / "workload.yaml"
    path.write_text(json.dumps(workload("redis", changes)), "utf-8")
    return path


def live(source: Path, *words: str | Path) -> Result:
    return run("verify", source, "--live", "--broker", NOWHERE, *words)


def test_what_to_compare_must_be_said(source):
    done = run("verify", source)
    assert (done.exit_code, "--live" in done.stderr) == (2, True)


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("of", ["sources", "folder"])
def test_every_format_tells_the_finding_and_no_secret(tmp_path, of, output_format):
    build = written(tmp_path) if of == "sources" else planned(tmp_path, "redis")
    done = live(build, "--output-format", output_format)
    assert done.exit_code == 1
    assert "broker-unreachable" in done.output
    assert "sekret" not in done.output
    if output_format == "json":
        schema = json.loads((ROOT / "schemas" / "findings.schema.json").read_text("utf-8"))
        Draft202012Validator(schema).validate(json.loads(done.stdout))


def test_a_waiver_covers_a_finding_about_reality_and_a_check_does_not_call_it_unused(tmp_path):
    source = written(tmp_path, waivers=[{**FINDING, "expires": "2027-01-31"}])
    today = ("--today", "2026-12-01")
    assert live(source, *today).exit_code == 0
    assert live(source, *today, "--no-waivers").exit_code == 1
    late = live(source, "--today", "2027-02-01")
    assert (late.exit_code, "expired on 2027-01-31" in late.output) == (1, True)
    assert "PC702" not in run("check", source, *today).output


def test_a_policy_file_changes_the_severity_and_a_baseline_hides(source, tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text("version: 1\nseverities: {broker-unreachable: info}\n", "utf-8")
    assert live(source, "--policy", rules).exit_code == 0
    assert live(source, "--policy", rules, "--fail-on", "info").exit_code == 1
    known = tmp_path / "known.json"
    entries = [{"finding": code, "name": "x", "at": "broker", "count": 1} for code in ("PC840", "PC204")]
    known.write_text(json.dumps({"format": 1, "findings": entries}), "utf-8")
    hidden = live(source, "--baseline", known)
    assert (hidden.exit_code, "PC741" in hidden.output) == (0, False)
    checked = run("check", source, "--baseline", known)
    assert "PC840" not in checked.output
    assert "PC204 at `broker` is no longer found" in checked.output


def test_rules_that_cannot_be_read_verify_nothing(source, tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text("{", "utf-8")
    done = live(source, "--policy", rules)
    assert (done.exit_code, "PC840" in done.output) == (2, False)


def test_sources_with_errors_have_no_plan_to_compare(tmp_path):
    source = tmp_path / "w.yaml"
    source.write_text("version: 1\n", "utf-8")
    done = live(source)
    assert (done.exit_code, "PC840" in done.output) == (1, False)
    assert live(tmp_path / "nothing").exit_code == 2


@pytest.mark.parametrize("where", ["127.0.0.1:0", ":9810"])
def test_metrics_at_an_address_need_a_repeated_look(source, where):
    done = live(source, "--metrics", where)
    assert (done.exit_code, "--watch" in done.stderr) == (2, True)


def test_metrics_in_a_file_that_cannot_be_written_are_wrong_use(source, tmp_path):
    done = live(source, "--metrics", tmp_path / "missing" / "x.prom")
    assert (done.exit_code, "No such file" in done.stderr) == (2, True)


def test_watching_serves_metrics_that_prometheus_reads_until_an_interrupt(source, tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "policycompiler", "verify", source, "--live", "--broker", NOWHERE]
    command += ["--watch", "--interval", "1", "--metrics", f"127.0.0.1:{port}", "--output-format", "concise"]
    log = tmp_path / "log"
    with running(command, log=log, environment={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        wait_until(lambda: "PC840" in log.read_text("utf-8"), "a round is over", process=process, log=log)
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        with pytest.raises(HTTPError):
            urlopen(f"http://127.0.0.1:{port}/other", timeout=10)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert (
        'policycompiler_verify_finding{service="demo",code="PC840",name="broker-unreachable",'
        'severity="error",path="broker"} 1'
    ) in text.splitlines()
    # Equal findings are printed once.
    assert log.read_text("utf-8").count("PC840") == 1
    if promtool := shutil.which("promtool"):
        subprocess.run([promtool, "check", "metrics"], input=text, text=True, check=True, timeout=60)


def test_status_of_a_broker_that_is_not_there_is_one_line_without_a_secret(source):
    done = run("status", source, "--broker", NOWHERE, "--output-format", "json")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("error[PC840] broker-unreachable: ")
    assert "sekret" not in done.output
