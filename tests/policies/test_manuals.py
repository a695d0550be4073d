"""Docstrings are manuals: the headings, every finding with what fires and what does not, true examples."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

import pytest
import yaml
from compiled import configured_app, write_configuration
from places import DATA, TESTS
from workloads import HEAD, compiled, workload

from policycompiler import load, manual, model, policies
from policycompiler.compiler import Compilation, compile_workload
from policycompiler.diagnostics import Finding, Profile, Severity
from policycompiler.knowledge.brokers import BROKERS
from policycompiler.knowledge.celery_settings import known_settings
from policycompiler.manual import entries, modules, sections
from policycompiler.manual.text import parameters_line, severity_line, waiver
from policycompiler.plan import APP, Constant, Setting, Written, scope_from_text
from policycompiler.policies import POLICIES, tunable

HEADINGS = ["Summary", "Decides", "Because", "Example", "Refuses", "Parameters"]
BY_NAME = {policy.NAME: policy for policy in POLICIES}
PAGES = {entry.finding.name: entry for _, entry in manual.all_findings()}

every_policy = pytest.mark.parametrize("policy", BY_NAME.values(), ids=BY_NAME)
FIRING = {name: page for name, page in PAGES.items() if page.fires}
every_finding = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
every_firing_finding = pytest.mark.parametrize("page", FIRING.values(), ids=FIRING)


def findings_of(module: ModuleType) -> dict[str, str]:
    found = [value for value in vars(module).values() if isinstance(value, Finding)]
    return {finding.code: finding.name for finding in found}


def module_name(policy: ModuleType) -> str:
    """That of a file, or of the folder where a policy has several."""
    return policy.__name__.rpartition(".")[2]


def words_of(policy: ModuleType) -> dict[str, object]:
    """Every name that a policy defines, in whichever of its files."""
    below = iter_modules(getattr(policy, "__path__", ()), f"{policy.__name__}.")
    files = [policy, *(import_module(found.name) for found in below)]
    return {name: value for file in files for name, value in vars(file).items()}


def example(policy: ModuleType) -> tuple[str, list[str]]:
    """The fragment, and the lines that say what follows."""
    fragment, _, claims = sections(policy)["Example"].rpartition("\n\n")
    return fragment, claims.splitlines()


@every_policy
def test_a_manual_has_its_headings_in_order(policy):
    assert list(sections(policy)) == HEADINGS
    assert all(text.strip() for text in sections(policy).values())


@every_policy
def test_a_policy_is_called_like_its_module(policy):
    assert module_name(policy) == policy.NAME.replace("-", "_")


@every_policy
def test_a_manual_names_exactly_the_findings_of_its_policy(policy):
    text = sections(policy)["Refuses"]
    assert {code: name for code, name, _ in entries(text)} == findings_of(policy)
    assert findings_of(policy) or text == "Nothing."


def test_every_module_of_a_chapter_is_in_its_order():
    for chapter in policies.CHAPTERS:
        names = sorted(found.name for found in iter_modules(chapter.__path__))
        assert names == sorted(map(module_name, (*chapter.DECIDERS, *chapter.CHECKS)))


def test_checks_decide_nothing():
    checks = [check for chapter in policies.CHAPTERS for check in chapter.CHECKS]
    assert [check.NAME for check in checks if sections(check)["Decides"] != "Nothing."] == []
    deciders = [decider for chapter in policies.CHAPTERS for decider in chapter.DECIDERS]
    assert [decider.NAME for decider in deciders if sections(decider)["Decides"] == "Nothing."] == []


def test_every_finding_has_one_page_wherever_it_is_defined():
    found = {value for module in modules() for value in vars(module).values() if isinstance(value, Finding)}
    assert len(found) > 60
    told = [
        (code, name) for module in modules() for code, name, _ in entries(sections(module).get("Refuses", ""))
    ]
    assert {(finding.code, finding.name) for finding in found} - {*told} == set(), "no entry below `Refuses:`"
    assert sorted(told) == sorted((finding.code, finding.name) for finding in found)
    assert {entry.finding for _, entry in manual.all_findings()} == found


def test_no_two_findings_share_a_code_or_a_name():
    told = [entry.finding for _, entry in manual.all_findings()]
    for words in ([finding.code for finding in told], [finding.name for finding in told]):
        assert [word for word, count in Counter(words).items() if count > 1] == []


def judged(text: str, page: manual.FindingPage, tmp_path: Path, more: str = "") -> Compilation:
    """A workload compiled under the default profile, or the stricter one that the finding needs."""
    profile = max(Profile.STANDARD, page.finding.profile, key=lambda each: each.rank)
    (tmp_path / "workload.yaml").write_text(text, "utf-8")
    rules = f"version: 1\nextends: {profile}\n{page.policy}\n{more}\n"
    (tmp_path / "policy.yaml").write_text(rules, "utf-8")
    return compile_workload([tmp_path / "workload.yaml"], policy=tmp_path / "policy.yaml")


@every_finding
def test_a_finding_is_told_with_what_to_do_and_both_texts_or_in_words(page):
    assert page.mend.endswith(".")
    parts = {part for part in ("fires", "silent", "when") if getattr(page, part)}
    assert parts in ({"fires", "silent"}, {"when"}), "give `fires:` and `silent:`, or `when:`"
    if page.when:
        named = [
            path
            for path in TESTS.rglob("test_*.py")
            if re.search(rf"\b({page.finding.code}|{page.finding.name})\b", path.read_text("utf-8"))
        ]
        cases = [path for path in TESTS.rglob("*.txt") if page.finding.code in path.read_text("utf-8")]
        assert named or cases, "no text shows it, so a test of its own has to"


@every_firing_finding
def test_the_text_that_fires_has_this_finding_and_nothing_else(page, tmp_path):
    found = judged(manual.whole(page.fires), page, tmp_path).diagnostics
    name = page.finding.name
    assert name in {each.name for each in found}
    others = {each.name for each in found if each.severity is not Severity.INFO} - {name}
    assert others == set(), found
    assert manual.said(page) is not None


@every_firing_finding
def test_the_text_that_stays_silent_has_no_such_finding_and_no_error(page, tmp_path):
    found = judged(manual.whole(page.silent), page, tmp_path).diagnostics
    assert page.finding.name not in {each.name for each in found}
    assert [each for each in found if each.severity is Severity.ERROR] == []


LOWERED = {
    name: page
    for name, page in FIRING.items()
    if page.finding.severity is Severity.ERROR and not page.finding.fatal
}


# One of them is that a setting is old, and Celery says so, too.
@pytest.mark.filterwarnings("ignore::celery.exceptions.CPendingDeprecationWarning")
@pytest.mark.parametrize("page", LOWERED.values(), ids=LOWERED)
def test_an_error_that_a_policy_file_lowers_leaves_an_output_that_celery_reads(page, tmp_path):
    compilation = judged(manual.whole(page.fires), page, tmp_path, severity_line(page.finding))
    severity = {each.name: each.severity for each in compilation.diagnostics}.get(page.finding.name)
    assert severity is Severity.WARNING
    files = {file.path: file.text for file in compilation.files}
    assert not compilation.failed, compilation.diagnostics
    write_configuration(compilation.files, tmp_path)
    variables = dict.fromkeys(re.findall(r'getenv\("(\w+)"\)', files["celeryconfig.py"]), "memory://")
    namespace = "CELERY" if "CELERY_TASK" in files["celeryconfig.py"] else None
    assert configured_app(tmp_path, variables, namespace=namespace).conf.task_routes is not None


WAIVABLE = {name: page for name, page in FIRING.items() if manual.can_be_waived(page)}


@pytest.mark.parametrize("page", WAIVABLE.values(), ids=WAIVABLE)
def test_the_waiver_of_a_page_waives_what_its_text_fires(page, tmp_path):
    filled = waiver(page).replace("YYYY-MM-DD", "9999-12-31").replace("team-that-answers", "storefront")
    text = f"{manual.whole(page.fires)}{filled}\n"
    waived = {each.name: each.waived for each in judged(text, page, tmp_path).diagnostics}.get(
        page.finding.name
    )
    assert waived is not None
    assert yaml.safe_load(waiver(page))["waivers"][0].keys() == model.Waiver.model_fields.keys()


def test_the_head_that_examples_get_is_that_of_all_tests():
    assert manual.HEAD == HEAD


@every_policy
def test_a_docstring_names_the_parameters_of_its_policy_and_their_defaults(policy):
    text = sections(policy)["Parameters"]
    told = re.findall(r"(?m)^`(\w+)`: (?:[^`]|`(?!\w+`: ))*; ([^;]+)\.$", text)
    known = next(page for page in manual.policy_pages() if page.name == policy.NAME).parameters
    assert told == [(each.name, each.default) for each in known]
    assert bool(known) == (tunable(policy) is not None)
    assert known or text == "None."


TUNABLE = {page.name: page for page in manual.policy_pages() if page.parameters}


@pytest.mark.parametrize("page", TUNABLE.values(), ids=TUNABLE)
def test_the_defaults_as_a_page_shows_them_can_stand_in_a_policy_file(page, tmp_path):
    (tmp_path / "policy.yaml").write_text(f"version: 1\n{parameters_line(page)}\n", "utf-8")
    file, _ = load.load_one(tmp_path / "policy.yaml")
    rules, refused = model.parse_policy_file(file)
    assert refused == []
    kind = tunable(BY_NAME[page.name])
    assert policies.tune(rules) == ({page.name: kind()}, [])


@every_policy
def test_the_example_of_a_manual_holds(policy):
    fragment, claims = example(policy)
    compilation = compiled(workload(fragment))
    assert compilation.plan is not None, compilation.diagnostics
    refused = {finding.name for finding in compilation.diagnostics}
    assert refused <= {claim.removeprefix("refuses ") for claim in claims}, compilation.diagnostics
    # Without a policy file there may be nothing of it to show.
    own = any(findings_of(policy)) and all(
        PAGES[name].policy or PAGES[name].when for name in findings_of(policy).values()
    )
    for claim in claims:
        if claim.startswith("refuses "):
            name = claim.removeprefix("refuses ")
            assert name in refused
            own = own or name in findings_of(policy).values()
        else:
            address, _, value = claim.partition(" = ")
            scope, _, key = address.rpartition("/")
            setting = compilation.plan.setting(scope_from_text(scope), key)
            assert setting.value == json.loads(value)
            own = own or setting.policy == policy.NAME
    assert own, "the example shows nothing of this policy"


def texts() -> Iterator[str]:
    """The language, whole, on each broker; the examples of the manuals; all fragments of the tables."""
    language = (DATA / "language.yaml").read_text()
    yield from (language.replace("transport: redis", f"transport: {broker}") for broker in BROKERS)
    yield from (workload(example(policy)[0]) for policy in BY_NAME.values())
    folder = Path(__file__).parent
    for found in sorted(folder.rglob("test_*.py")):
        tables = vars(import_module(".".join(("policies", *found.relative_to(folder).with_suffix("").parts))))
        for table in ("DECIDES", "LEADS_TO", "ACCEPTS"):
            rows = tables.get(table, {}).values()
            yield from (workload(row if isinstance(row, str) else row[0]) for row in rows)


@cache
def settled() -> list[Setting]:
    """Each kind of decision once: its policy, kind of scope, key and origins."""
    found = {}
    # Some policies decide only what a policy file asks for.
    asked = [
        (manual.whole(page.fires), f"version: 1\n{page.policy}\n") for page in FIRING.values() if page.policy
    ]
    for text, platform in (*((text, "") for text in texts()), *asked):
        plan = compiled(text, platform).plan
        for setting in plan or ():
            constants = tuple(origin for origin in setting.origins if isinstance(origin, Constant))
            found[setting.policy, setting.scope.kind, setting.key, repr(constants)] = setting
    return list(found.values())


def pins_celerys_own(setting: Setting) -> bool:
    """Whether it is a task option, an app's setting or an argument of a queue, all of which can be pinned."""
    option = setting.key.startswith("options.")
    if setting.key.startswith("arguments.") and isinstance(setting.origins[0], Written):
        return setting.origins[0].path[-1] == setting.key.removeprefix("arguments.")
    return setting.policy == "as-written" and (
        option or (setting.scope == APP and setting.key in known_settings())
    )


@every_policy
def test_a_manual_names_every_key_that_its_policy_decides(policy):
    text = sections(policy)["Decides"]
    named = {word for span in re.findall(r"`([^`]+)`", text) for word in re.split(r"[/.: ]", span)}
    keys = {
        re.sub(r"^(options|arguments|server|store_server)\.", "", setting.key)
        for setting in settled()
        if setting.policy == policy.NAME and not pins_celerys_own(setting)
    }
    assert keys - named == set()
    assert keys or text.strip() == "Nothing."


def test_every_constant_is_a_name_of_the_deciding_policy_with_its_value():
    constants = [
        (setting, origin)
        for setting in settled()
        for origin in setting.origins
        if isinstance(origin, Constant)
    ]
    assert len({origin.name for _, origin in constants}) > 40
    words = {name: words_of(policy) for name, policy in BY_NAME.items()}
    for setting, constant in constants:
        head, *rest = re.split(r"[.\[]", constant.name.rstrip("]"))
        # Said in lower case, as it is no word of the policy's own but the table of all.
        value = words[setting.policy][head.upper()]
        for part in rest:
            value = value[part] if part in value else getattr(value, part)
        assert value == constant.value, (setting.address, constant)
        assert type(value) is type(constant.value), (setting.address, constant)
