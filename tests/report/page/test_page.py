"""The page says what the plan says, and nothing in it comes from anywhere else."""

from __future__ import annotations

import re

import pytest
from pages import BEFORE, BUSY, page_of, page_of_plan, read, side, subject, text, with_class, with_id
from plans import plan_of
from reported import EVIL, findings, hostile

from policycompiler.plan import Plan, Scope, vocabulary
from policycompiler.report.page import page
from policycompiler.report.text import clean
from policycompiler.report.values import value_text


@pytest.fixture(scope="module")
def busy() -> str:
    return page_of(BUSY)


@pytest.fixture(scope="module")
def plan() -> Plan:
    found = side(BUSY).plan
    assert found is not None
    return found


def test_the_same_sources_give_the_same_bytes(busy):
    assert page_of(BUSY) == busy


def test_a_page_asks_for_nothing(busy):
    tree = read(busy)
    policy = next(each.get("content") for each in tree.iter("meta") if each.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert not {"script", "link", "img", "iframe", "object", "form"} & {each.tag for each in tree.iter()}
    targets = {each.get("href") for each in tree.iter() if each.get("href")}
    assert all(each.startswith("#") for each in targets)
    assert "url(" not in busy


@pytest.mark.parametrize("before", ["", BEFORE], ids=["page", "comparison"])
def test_each_id_is_given_once_and_each_link_leads_to_one(before):
    tree = read(page_of(BUSY, before))
    ids = [each.get("id") for each in tree.iter() if each.get("id")]
    assert len(ids) == len(set(ids))
    assert {each.get("href")[1:] for each in tree.iter("a")} <= set(ids)


def test_every_setting_of_a_worker_has_its_value_its_reason_and_its_policy(busy, plan):
    tree = read(busy)
    for worker in plan.scopes("worker"):
        shown = text(with_id(tree, str(worker)))
        for setting in plan.keys(worker).values():
            if not vocabulary.find("worker", setting.key).mirror:
                assert f"{setting.key}{value_text(worker, setting.key, setting.value)}" in shown
                assert f"{setting.because[1:]} — {setting.policy}" in shown


def test_an_origin_has_the_place_in_the_workload(busy):
    shown = text(with_id(read(busy), "worker:orders"))
    assert re.search(r"concurrency = 2 \(\S*depot\.yaml:12:\d+\)", shown)


def test_each_task_is_listed_with_its_queue(busy, plan):
    tree = read(busy)
    for task in plan.scopes("task"):
        assert task.name in text(with_id(tree, f"queue:{plan.get(task, 'queue')}"))


def test_each_alert_has_its_texts_and_its_team(busy, plan):
    articles = {each.get("id"): text(each) for each in read(busy).iter("article")}
    assert set(articles) == {str(each) for each in plan.scopes("alert")}
    for alert in plan.scopes("alert"):
        for key in ("summary", "description", "team"):
            assert plan.text(alert, key) in articles[str(alert)]


def test_a_key_of_an_alert_that_the_page_does_not_know_is_shown():
    alert = {
        "alert": "Late",
        "severity": "critical",
        "summary": "it is late",
        "minimum": 7,
        "threshold": 0.25,
    }
    article = next(read(page_of_plan(plan_of({"app": HEAD, "alert:Late": alert}))).iter("article"))
    assert {text(each) for each in article.iter("dt")} == {"minimum", "threshold"}
    assert {text(each) for each in article.iter("dd")} == {"7", "0.25"}


def test_of_very_many_alerts_the_first_are_shown_and_the_others_counted():
    alerts = {f"alert:Late:{number:04}": {"alert": "Late", "severity": "warning"} for number in range(500)}
    section = with_id(read(page_of_plan(plan_of({"app": HEAD, **alerts}))), "alerts")
    assert len(list(section.iter("article"))) == 200
    assert "500 alerts" in text(section)
    assert "And 300 more" in text(section)


def test_only_the_web_address_of_a_runbook_is_a_link():
    runbooks = {"a": "https://example.org/late#a", "b": "javascript:alert(1)"}
    alerts = {f"alert:{name}": {"alert": name, "runbook": url} for name, url in runbooks.items()}
    tree = read(page_of_plan(plan_of({"app": HEAD, **alerts})))
    assert [each.get("href") for each in with_id(tree, "alerts").iter("a")] == [runbooks["a"]]
    assert runbooks["b"] in text(with_id(tree, "alerts"))


def test_hosts_have_what_their_processes_need_beside_what_they_have(busy):
    tree = read(busy)
    alpha, beta = text(with_id(tree, "host:alpha")), text(with_id(tree, "host:beta"))
    assert "processes3" in alpha
    assert "unlimited of 16 GiB" in alpha
    assert "1 GiB of 4 GiB" in beta
    (bar,) = with_id(tree, "host:beta").iter("meter")
    assert (float(bar.get("value")), float(bar.get("max"))) == (2**30, 4 * 2**30)


def test_findings_have_a_place_a_help_and_a_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree = read(page_of_plan(plan_of({"app": HEAD}), findings()))
    section = with_id(tree, "findings")
    first, *_ = section.iter("li")
    shown = text(first)
    assert shown.startswith("error PC204 retry-non-idempotent")
    for part in ("would retry", "Help: write retry: none", "pay.yaml:6:33", "pay.yaml:5:17 declared here"):
        assert part in shown
    assert "policycompiler finding PC204" in shown
    assert "Waived by storefront until 2027-03-31: charges carry a key" in text(section)


def test_a_plan_from_a_file_says_that_it_holds_no_findings_and_has_no_lines(plan):
    shown = text(read(page_of_plan(plan)))
    assert "A compiled plan holds no findings" in shown
    assert "workers.orders.concurrency" in shown
    assert ":0:0" not in shown
    assert ":1:1" not in shown


def test_a_comparison_lists_the_changes_with_their_risk_and_reason():
    tree = read(page_of(BUSY, BEFORE))
    section = with_id(tree, "changes")
    shown = text(section)
    assert "depot.orders.cancel moves from queue slow to orders" in shown
    assert "task depot.gone is removed" in shown
    assert "rollout step" in shown
    risks = {text(each) for each in with_class(section, "badge")}
    assert risks <= {"safe", "ordered", "manual", "lossy"}


HEAD = {"broker_transport": "redis", "service": "depot"}
NAMES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "]]></svg></style>",
    EVIL,
    "a b#c%20d&amp;",
)


def named(name: str) -> Plan:
    """A plan in which every thing has this name, and every text is this one."""
    return plan_of(
        {
            "app": HEAD,
            f"task:{name}": {"queue": name, "owner": name},
            f"queue:{name}": {"workers": [name], "latency": name},
            f"worker:{name}": {"queues": [name], "pool": name, "description": name, "replicas": 1},
            f"schedule:{name}": {"task": name, "every_seconds": 60, "options": {"queue": name}},
            f"host:{name}": {"workers": {name: 1}},
            f"alert:{name}": {
                "alert": name,
                "summary": name,
                "description": name,
                "severity": name,
                "queue": name,
            },
        }
    )


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_no_name_and_no_text_becomes_a_part_of_the_page(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree, plain = (read(page_of_plan(named(each), hostile())) for each in (name, "depot"))
    assert {each.tag for each in tree.iter()} == {each.tag for each in plain.iter()}
    whole = "".join(tree.itertext())
    assert clean(name) in whole
    assert "s3cret" not in whole
    # Every attribute is ours: none of a name.
    assert not [key for each in tree.iter() for key in each.attrib if key.startswith("on") or key == "src"]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e\u200b]", whole)
    assert text(with_id(tree, "queues")).count(clean(name)) > 1


def test_ten_thousand_tasks_are_listed_and_the_page_stays_small():
    tasks = {
        f"task:depot.area{number % 40}.task_{number}": {"queue": f"q{number % 40}", "options.max_retries": 0}
        for number in range(10_000)
    }
    queues = {f"queue:q{number}": {"workers": [f"w{number}"]} for number in range(40)}
    workers = {
        f"worker:w{number}": {"queues": [f"q{number}"], "concurrency": 2, "replicas": 1}
        for number in range(40)
    }
    html = page_of_plan(plan_of({"app": HEAD, **tasks, **queues, **workers}))
    assert "depot.area7.task_9967" in html
    assert len(html) < 3_000_000
    assert html.count('class="task"') <= 80


def test_the_summary_of_a_page_counts_what_the_plan_has(busy, plan):
    (numbers,) = with_class(read(busy), "numbers")
    shown = {text(each.find("dt")): text(each.find("dd")) for each in numbers}
    assert shown["tasks"] == str(len(plan.scopes("task")))
    # Three of `orders` and one of `slow` on the hosts, and one for tasks that nobody declared.
    assert shown["processes"] == "5"
    alone = [plan.number(Scope("worker", name), "concurrency") for name in ("slow", "depot.standard.io")]
    assert shown["slots"] == str(3 * 2 + int(sum(alone)))
    assert shown["broker"] == "Redis"


def test_a_page_is_named_after_the_service(busy):
    tree = read(busy)
    assert text(next(tree.iter("title"))) == "depot: deployment report"
    assert [text(each) for each in tree.iter("h1")] == ["depot"]
    assert page(subject(side(BUSY))._replace(name="depot (prod)")).count("<h1>depot (prod)</h1>") == 1
