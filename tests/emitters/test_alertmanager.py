"""Who is told about an alert: the configuration of Alertmanager and the proof of its routes, judged by amtool."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from places import ROOT
from tools import needs
from workloads import workload

from policycompiler.compiler import Compilation, compile_workload
from policycompiler.output import manifest_file, write
from policycompiler.reality.checkers import check

SHOP = ROOT / "examples/shop"
RECEIVERS = """
      pager: {pagerduty: {routing_key_file: /etc/alertmanager/storefront.key}}
      chat: {slack: {api_url_file: /etc/alertmanager/storefront.url, channel: "#storefront"}}
      hook: {webhook: {url: "https://hooks.example.com/catalog", credentials_file: /etc/alertmanager/token}}
      mail:
        mail:
          to: ops@example.com
          sender: alerts@example.com
          smarthost: "mail.example.com:587"
          auth_username: alerts
          auth_password_file: /etc/alertmanager/mail
"""
TEAMS = """
      storefront: {critical: pager, warning: chat}
      catalog: {critical: hook, warning: hook}
      payments: {critical: pager, warning: mail}
      reports: {warning: mail}
"""
PATHS = ["alertmanager/shop.routes.sh", "alertmanager/shop.yaml"]


def told(folder: Path, receivers: str = RECEIVERS, teams: str = TEAMS, default: str = "mail") -> Compilation:
    rules = f"version: 1\nparameters:\n  notifications:\n    default: {default}\n"
    policy = folder / "policy.yaml"
    policy.write_text(f"{rules}    receivers:{receivers}\n    teams:{teams}\n", "utf-8")
    return compile_workload([SHOP], policy=policy)


@pytest.fixture
def build(tmp_path):
    needs("amtool")
    made = told(tmp_path)
    write(tmp_path / "build", [*made.files, manifest_file(made.files, made.sources, "0")])
    return tmp_path / "build"


def proof(build: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [build / "alertmanager/shop.routes.sh", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def problems(build: Path) -> list[str]:
    return [problem.text for problem in check(build, PATHS, {}).problems]


def test_without_receivers_there_are_no_files():
    files = compile_workload([SHOP]).files
    assert files
    assert [file.path for file in files if file.path.startswith("alertmanager/")] == []
    (found,) = compile_workload([SHOP], targets=["alertmanager"]).diagnostics
    assert (found.name, "declares no receivers" in found.message) == ("target-empty", True)


def test_amtool_accepts_the_configuration_and_each_alert_reaches_its_receiver(build):
    assert problems(build) == []
    assert (proof(build).returncode, proof(build).stderr) == (0, "")


def labels_of_rules(build: Path) -> list[dict[str, str]]:
    files = [yaml.safe_load(file.read_text("utf-8")) for file in (build / "prometheus").glob("*.rules.yaml")]
    return [rule["labels"] for file in files for group in file["groups"] for rule in group["rules"]]


def test_each_team_and_severity_of_the_rules_is_proved(build):
    labels = labels_of_rules(build)
    wanted = {(each.get("team", ""), each["severity"]) for each in labels}
    rows = [
        line.split()
        for line in (build / "alertmanager/shop.routes.sh").read_text("utf-8").splitlines()
        if line.startswith("reaches ")
    ]
    proved = {tuple(word.partition("=")[2] for word in row[2:]) for row in rows}
    assert proved == wanted
    receivers = {tuple(word.partition("=")[2] for word in row[2:]): row[1] for row in rows}
    assert receivers["storefront", "critical"] == "pager"
    assert receivers["storefront", "warning"] == "chat"
    assert receivers["platform", "critical"] == "mail"


def test_the_labels_of_the_inhibitions_are_on_the_rules(build):
    labels = labels_of_rules(build)
    configuration = yaml.safe_load((build / "alertmanager/shop.yaml").read_text("utf-8"))
    assert {each["app"] for each in labels} == {"shop"}
    shown = set()
    for rule in configuration["inhibit_rules"]:
        label, _, value = rule["source_matchers"][0].replace('"', "").partition("=")
        sources = [each for each in labels if each.get(label) == value]
        shown |= {value for _ in sources}
        assert all(name in each for each in sources for name in rule["equal"]), rule
    # Without telemetry nothing shows the others.
    assert shown == {
        "service",
        "metrics",
        "worker",
        "queue",
        "drain",
        "failures",
        "schedule",
        "missed",
        "memory",
    }


def test_the_proof_names_an_alert_that_goes_elsewhere(build):
    file = build / "alertmanager/shop.yaml"
    file.write_text(file.read_text("utf-8").replace('receiver: "chat"', 'receiver: "pager"'), "utf-8")
    ended = proof(build)
    assert ended.returncode == 1
    assert ended.stderr == "does not reach chat: team=storefront severity=warning\n"


def test_the_route_of_a_service_fits_below_another_root(build, tmp_path):
    own = yaml.safe_load((build / "alertmanager/shop.yaml").read_text("utf-8"))
    other = {"receiver": "others", "routes": [{"matchers": ['app="web"']}, *own["route"]["routes"]]}
    merged = {**own, "route": other, "receivers": [{"name": "others"}, *own["receivers"]]}
    (tmp_path / "all.yaml").write_text(yaml.safe_dump(merged), "utf-8")
    checked = subprocess.run(
        [needs("amtool"), "check-config", tmp_path / "all.yaml"], check=False, timeout=60
    )
    assert checked.returncode == 0
    assert proof(build, tmp_path / "all.yaml").returncode == 0


@pytest.mark.parametrize(
    ("old", "new", "finder"),
    [
        ('receiver: "pager"', 'receiver: "pagr"', "undefined receiver"),
        ("pagerduty_configs", "pagerdty_configs", "pagerdty_configs"),
        ('group_wait: "30s"', 'group_wait: "30"', "not a valid duration"),
        ('"severity=\\"critical\\""', '"severty=\\"critical\\""', "no alert has the label `severty`"),
        ('"team=\\"catalog\\""', '"team=\\"cata log\\""', "no blanks"),
        (
            '"team=\\"catalog\\""',
            '"team=\\"catlog\\""',
            "team=catalog severity=critical does not reach `hook`",
        ),
        ('"team=\\"catalog\\""', '"team=~\\".+\\""', "does not reach `pager`"),
        ('"team=\\"storefront\\""', '"team=\\"catalog\\""', "is never reached"),
        ('receiver: "hook"', 'receiver: "mail"', "no route has the receiver `hook`"),
        ('"app=\\"shop\\""', '"app=\\"shpo\\""', "does not reach"),
        ('equal:\n  - "app"\n', 'equal:\n  - "ap"\n', "no alert has the label `ap`"),
        (
            'routing_key_file: "/etc/alertmanager/storefront.key"',
            'routing_key: "k"',
            "`routing_key` is a secret",
        ),
    ],
)
def test_a_mistake_is_found(build, old, new, finder):
    file = build / "alertmanager/shop.yaml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")
    assert any(finder in problem for problem in problems(build)), problems(build)


@pytest.mark.parametrize(
    ("receivers", "teams", "default", "message"),
    [
        ("\n      a: {pagerduty: {routing_key: 0123456789abcdef}}", " {}", "a", "routing_key"),
        ("\n      a: {pagerduty: {routing_key_file: 0123456789abcdef}}", " {}", "a", "absolute path"),
        (
            "\n      a: {slack: {api_url_file: 'https://hooks.slack.com/services/T/B/X', channel: a}}",
            " {}",
            "a",
            "absolute path",
        ),
        ("\n      a: {webhook: {url: 'https://user:pass@example.com'}}", " {}", "a", "credentials"),
        ("\n      a: {webhook: {url: 'http:///hook'}}", " {}", "a", "and a host"),
        ("\n      a: {webhook: {url: 'http://a/%zz'}}", " {}", "a", "and a host"),
        ("\n      a: {webhook: {}}", " {}", "a", "either `url` or `url_file`"),
        ("\n      a: {}", " {}", "a", "at least one of"),
        (RECEIVERS, " {storefront: {critical: pagr}}", "mail", "no receiver `pagr`"),
        (RECEIVERS, " {'pay ments': {critical: pager}}", "mail", "an owner has"),
        (RECEIVERS, TEAMS, "null", "write `default:`"),
    ],
)
def test_a_secret_or_a_wrong_name_is_refused(receivers, teams, default, message, tmp_path):
    found = told(tmp_path, receivers, teams, default)
    assert found.failed
    words = [f"{each.message} {each.help}" for each in found.diagnostics]
    assert any(message in each for each in words), words
    assert not any("0123456789abcdef" in each for each in words if "absolute path" not in message)


def test_the_team_of_a_schedule_is_found_where_it_is_written(tmp_path):
    source = tmp_path / "workload.yaml"
    source.write_text(
        workload("tasks: {shop.a: {}}\nschedules: {s: {task: shop.a, every: 1h, owner: nights}}"), "utf-8"
    )
    policy = tmp_path / "policy.yaml"
    receivers = "{receivers: {a: {pagerduty: {routing_key_file: /k}}}, default: a}"
    policy.write_text(f"version: 1\nparameters: {{notifications: {receivers}}}\n", "utf-8")
    found = compile_workload([source], policy=policy, targets=()).diagnostics
    assert [(each.name, each.path) for each in found if each.code == "PC975"] == [
        ("team-without-receiver", ("schedules", "s", "owner"))
    ]


def test_amtool_accepts_times_of_less_than_a_second(tmp_path):
    times = '"mail"\n    group_wait: 1ms\n    group_interval: 300ms\n    repeat_interval: 1500ms'
    made = told(tmp_path, default=times)
    assert not made.failed, made.diagnostics
    text = next(file.text for file in made.files if file.path == PATHS[1])
    assert 'group_wait: "1s"' in text
    assert 'repeat_interval: "2s"' in text
    (tmp_path / "alertmanager.yaml").write_text(text, "utf-8")
    command = [needs("amtool"), "check-config", tmp_path / "alertmanager.yaml"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def test_a_team_that_nobody_tells_and_a_receiver_without_a_team_are_found(tmp_path):
    found = told(tmp_path, teams=" {storefront: {critical: pager}}")
    named = [(each.name, each.message) for each in found.diagnostics]
    assert {name for name, _ in named} == {"team-without-receiver", "unused-receiver"}
    assert sum(name == "unused-receiver" for name, _ in named) == 2
    storefront = next(message for _, message in named if "`storefront`" in message)
    assert "severity warning; they go to `mail`" in storefront
