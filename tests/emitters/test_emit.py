"""The loop over the emitters, and what their files say that they show."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import yaml
from places import EVERYTHING, EVERYTHING_ELSE
from plans import changed, plan_of
from workloads import workload

from policycompiler import emitters
from policycompiler.compiler import compile_workload
from policycompiler.emitters.base import MODE_FILE, OutputFile
from policycompiler.plan import Plan, Setting
from policycompiler.plan.file import from_json, to_json

NOTHING = plan_of({"app": {"service": "shop"}})


def broken(plan: Plan) -> Iterator[OutputFile]:
    yield OutputFile("broken.txt", plan.text(plan.scopes("app")[0], "missing"), MODE_FILE, frozenset())


def writing(*paths: str):
    def emit(plan: Plan) -> Iterator[OutputFile]:
        for path in paths:
            yield OutputFile(path, str(len(plan)), MODE_FILE, frozenset())

    return emit


def use(monkeypatch: pytest.MonkeyPatch, **emits: object) -> tuple[str, ...]:
    """Let these be the emitters; their names."""
    found = {name: SimpleNamespace(ID=name, emit=emit) for name, emit in emits.items()}
    found[emitters.PLAN_FILE] = emitters.emitter(emitters.PLAN_FILE)
    monkeypatch.setattr(emitters, "TARGETS", tuple(emits))
    monkeypatch.setattr(emitters, "emitter", found.__getitem__)
    return tuple(emits)


def read(path: str, text: str) -> object:
    """What a program reads in a file."""
    return yaml.safe_load(text) if path.endswith((".yaml", ".json")) else text


def test_the_plan_file_gives_the_same_files_whatever_the_order_in_the_policy_file(tmp_path):
    (tmp_path / "workload.yaml").write_text(
        workload("owner: shop\nbroker: {transport: redis, url: '${B}'}\ntasks: {shop.a: {critical: true}}"),
        "utf-8",
    )
    (tmp_path / "policy.yaml").write_text(
        "version: 1\nparameters:\n"
        "  metric-sources: {sources: [telemetry, redis-exporter, celery-exporter]}\n"
        "  scraping: {addresses: {redis-exporter: ['b:2', 'a:1'], celery-exporter: ['c:1']}}\n"
        "  alerts: {telemetry_matchers: {z: x, a: y}, broker_matchers: {zone: a, cluster: b}}\n"
        "  notifications:\n"
        "    receivers:\n"
        "      z: {mail: {to: a@b, sender: a@b, smarthost: 'm:25'}, slack: {api_url_file: /u, channel: c}}\n"
        "      a: {pagerduty: {routing_key_file: /k}}\n"
        "    teams: {shop: {warning: z, critical: a}}\n"
        "    default: z\n",
        "utf-8",
    )
    made = compile_workload([tmp_path / "workload.yaml"], policy=tmp_path / "policy.yaml")
    assert not made.failed, made.diagnostics
    targets = ("prometheus", "alertmanager", "grafana")
    again = emitters.emit(from_json(to_json(made.plan)), targets)
    texts = {file.path: file.text for file in made.files}
    assert len(again) > 10
    for file in again:
        assert read(file.path, file.text) == read(file.path, texts[file.path]), file.path


def test_a_bug_in_an_emitter_goes_up_and_names_it(monkeypatch):
    targets = use(monkeypatch, fine=writing("a"), faulty=broken)
    with pytest.raises(LookupError, match="app/missing") as caught:
        emitters.emit(NOTHING, targets)
    assert caught.value.__notes__ == ["while the emitter faulty was at work"]


def test_two_emitters_that_write_one_path_are_a_bug(monkeypatch):
    targets = use(monkeypatch, first=writing("a", "b"), second=writing("c", "B"))
    with pytest.raises(AssertionError, match="first writes B as well") as caught:
        emitters.emit(NOTHING, targets)
    assert caught.value.__notes__ == ["while the emitter second was at work"]


def test_files_come_by_path_and_the_plan_is_always_among_them(monkeypatch):
    targets = use(monkeypatch, first=writing("z", "b"), second=writing("q"), third=writing("x"))
    found = [file.path for file in emitters.emit(NOTHING, targets[:2])]
    assert found == ["b", "plan.json", "q", "z"]


def texts(emitter: emitters.Emitter, plan: Plan) -> dict[str, str]:
    return {file.path: file.text for file in emitter.emit(plan)}


def few_of_each_key(plan: Plan) -> list[Setting]:
    """The settings of three scopes at most for each key: there are 53 alerts, with eight keys each."""
    found: dict[tuple[str, str], list[Setting]] = {}
    for setting in plan:
        found.setdefault((setting.scope.kind, setting.key), []).append(setting)
    return [same[place] for same in found.values() for place in sorted({0, len(same) // 2, len(same) - 1})]


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
@pytest.mark.parametrize(
    "emitter", [emitters.emitter(name) for name in emitters.TARGETS], ids=emitters.TARGETS
)
def test_a_file_claims_those_settings_that_change_it_and_no_others(emitter, broker):
    plan = compile_workload([EVERYTHING / f"{broker}.yaml"], policy=EVERYTHING_ELSE).plan
    files = list(emitter.emit(plan))
    assert bool(files) == (emitter.ID not in ("rabbitmq", "redis") or broker == emitter.ID)
    claimed = {file.path: file.addresses for file in files}
    changing: dict[str, set[str]] = {file.path: set() for file in files}
    for setting in few_of_each_key(plan):
        try:
            now = texts(emitter, changed(plan, setting))
        except (ValueError, LookupError, AssertionError):
            # A value that the target refuses: some file would have shown it.
            # Without files, another broker would have them.
            assert not files or any(setting.address in addresses for addresses in claimed.values())
            refused = {path for path, addresses in claimed.items() if setting.address in addresses}
        else:
            refused = set()
        for file in files:
            if file.path in refused or (not refused and now.get(file.path) != file.text):
                changing[file.path].add(setting.address)
    tried = {setting.address for setting in few_of_each_key(plan)}
    for path, claims in claimed.items():
        addresses = claims & tried
        assert (path, addresses - changing[path]) == (path, set())
        assert (path, changing[path] - addresses) == (path, set())
