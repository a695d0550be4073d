from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from plans import plan_of

from policycompiler.diagnostics import (
    Diagnostic,
    Finding,
    Place,
    Related,
    Remove,
    Severity,
    Waived,
    error,
    info,
    warning,
)
from policycompiler.load import Document, load
from policycompiler.report.findings import FORMATS, OutputFormat, located, render

RETRY = error("PC204", "retry-non-idempotent")
VISIBILITY = error("PC311", "late-ack-run-over-visibility")
LATE = warning("PC401", "late")
HINT = info("PC101", "hint")

PAYMENTS = """\
version: 1
service: shop
broker:
  visibility_timeout: 1h
tasks:
  shop.payments.charge_card:
    idempotent: false
    latency: interactive
    work: io
    retry: {on: [ConnectionError], max: 3}
"""
REPORTS = """\
tasks:
  shop.reports.yearly:
    runtime: {p50: 40m, p99: 2h}
"""
CARD = ("tasks", "shop.payments.charge_card")


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def document_of(**texts: str) -> Document:
    files = []
    for name, text in texts.items():
        path = Path(f"{name}.yaml")
        path.write_text(text, encoding="utf-8", newline="")
        files.append(path)
    document, _ = load(files)
    return document


def full(document: Document, *diagnostics: Diagnostic) -> str:
    """The findings alone, without the summary and without where to read more."""
    text = render(diagnostics, document, "full").rpartition("\n\n")[0]
    return re.sub(r"\n +=( more: .*)", "", text)


def expected(text: str) -> str:
    return dedent(text).strip("\n")


def test_a_finding_shows_its_line_related_lines_in_order_and_help() -> None:
    document = document_of(payments=PAYMENTS, reports=REPORTS)
    finding = RETRY.at(
        (*CARD, "retry", "max"),
        "shop.payments.charge_card would retry 3 times, but it is not safe to run twice",
        help="write `retry: none`",
        related=(
            Related((*CARD, "retry", "max"), "a retry runs the whole task again"),
            Related((*CARD, "idempotent"), "declared here"),
        ),
    )
    assert render([finding], document, "full") == dedent("""\
        payments.yaml:10:41: error[PC204] retry-non-idempotent: shop.payments.charge_card would retry 3 times, but it is not safe to run twice
           |
         7 |     idempotent: false
           |                 ----- declared here
        10 |     retry: {on: [ConnectionError], max: 3}
           |                                         ^ a retry runs the whole task again
           = help: write `retry: none`
           = more: policycompiler finding PC204

        1 error in 2 files, 2 tasks
        """)


def test_a_related_place_in_another_file_is_named_and_shown() -> None:
    document = document_of(payments=PAYMENTS, reports=REPORTS)
    finding = VISIBILITY.at(
        ("broker", "visibility_timeout"),
        "shop.reports.yearly may run 2 h 24 min",
        related=(Related(("tasks", "shop.reports.yearly", "runtime", "p99"), "p99 2 h × 1.2 = 2 h 24 min"),),  # noqa: RUF001
        help="remove the pin",
    )
    assert full(document, finding) == expected("""
        payments.yaml:4:23: error[PC311] late-ack-run-over-visibility: shop.reports.yearly may run 2 h 24 min
          |
        4 |   visibility_timeout: 1h
          |                       ^^
         ::: reports.yaml:3:30
        3 |     runtime: {p50: 40m, p99: 2h}
          |                              -- p99 2 h × 1.2 = 2 h 24 min
          = help: remove the pin
        """)  # noqa: RUF001


def test_findings_are_sorted_by_place_and_severity_and_the_same_one_is_told_once() -> None:
    document = document_of(payments=PAYMENTS, reports=REPORTS)
    in_reports = HINT.at(("tasks", "shop.reports.yearly", "runtime"), "fine")
    at_line_4 = [finding.at(("broker", "visibility_timeout"), "pinned") for finding in (HINT, LATE, RETRY)]
    again = HINT.at(("broker", "visibility_timeout"), "pinned", help="the same, told by somebody else")
    without_file = RETRY.at((), "no environment `x`", place=Place("", 1, 1))
    text = render([in_reports, *at_line_4, again, without_file], document, "concise")
    assert text == dedent("""\
        error[PC204] retry-non-idempotent: no environment `x`
        payments.yaml:4:23: error[PC204] retry-non-idempotent: pinned
        payments.yaml:4:23: warning[PC401] late: pinned
        payments.yaml:4:23: info[PC101] hint: pinned
        reports.yaml:3:14: info[PC101] hint: fine
        2 errors, 1 warning, 2 infos in 2 files, 2 tasks
        """)


def test_a_finding_keeps_its_own_place_and_may_point_at_the_key() -> None:
    document = document_of(payments=PAYMENTS)
    at_key = LATE.at((*CARD, "retry"), "m", at_key=True)
    placed = LATE.at((*CARD, "retry"), "m", place=Place("payments.yaml", 2, 1))
    missing = LATE.at((*CARD, "retry", "backoff"), "m")
    places = [
        (finding.place.line, finding.place.column) for finding in located([at_key, placed, missing], document)
    ]
    assert places == [(2, 1), (10, 5), (10, 12)]


@pytest.mark.parametrize(
    ("line", "path", "shown"),
    [
        pytest.param(
            "b: a, b  # why", ("b",), ["b: a, b  # why", "   ^^^^"], id="block text up to a comment"
        ),
        pytest.param('b: "x, \\"y" # z', ("b",), ['b: "x, \\"y" # z', "   ^^^^^^^^"], id="double quotes"),
        pytest.param("b: 'it''s' # z", ("b",), ["b: 'it''s' # z", "   ^^^^^^^"], id="single quotes"),
        pytest.param("b: [1,23,4]", ("b", 1), ["b: [1,23,4]", "      ^^"], id="item of a flow sequence"),
        pytest.param("b: {c: d e}", ("b", "c"), ["b: {c: d e}", "       ^^^"], id="value of a flow mapping"),
        pytest.param("b: {c: 1}", ("b",), ["b: {c: 1}", "   ^"], id="a flow mapping by its bracket"),
        pytest.param(
            "b: http://x:80/y", ("b",), ["b: http://x:80/y", "   ^^^^^^^^^^^^^"], id="a colon inside"
        ),
        pytest.param(
            "{名前: 値, b: 12}", ("b",), ["{名前: 値, b: 12}", "              ^^"], id="wide before"
        ),
        pytest.param("b: 値です", ("b",), ["b: 値です", "   ^^^^^^"], id="wide word"),
        pytest.param(
            "{e\u0301: 1, b: 2}", ("b",), ["{e\u0301: 1, b: 2}", "          ^"], id="combining accent"
        ),
        pytest.param("b:\t5", ("b",), ["b:    5", "      ^"], id="tab"),
        pytest.param("b: 5\r", ("b",), ["b: 5", "   ^"], id="line ending of Windows"),
        pytest.param("b:", ("b",), ["b:", "  ^"], id="nothing there"),
    ],
)
def test_carets_stand_under_the_word(line: str, path: tuple[str | int, ...], shown: list[str]) -> None:
    document = document_of(a=f"# x\n{line}\n")
    lines = full(document, LATE.at(path, "m")).splitlines()
    assert lines[2:] == [f"2 | {shown[0]}", f"  | {shown[1]}"]


def test_two_marks_on_one_line_share_it() -> None:
    document = document_of(a="b: {c: 1, d: 22}\n")
    finding = LATE.at(("b", "d"), "m", related=(Related(("b", "c"), "less than"),))
    assert full(document, finding) == expected("""
        a.yaml:1:14: warning[PC401] late: m
          |
        1 | b: {c: 1, d: 22}
          |        - less than
          |              ^^
        """)


def test_a_very_long_line_is_cut_around_the_caret() -> None:
    many = ", ".join(f"k{number}: {number}" for number in range(100, 200))
    document = document_of(a=f"b: {{{many}}}\n")
    finding = LATE.at(("b", "k150"), "m", related=(Related(("b", "k101"), "first"),))
    assert full(document, finding) == expected("""
        a.yaml:1:561: warning[PC401] late: m
          |
        1 | b: {k100: 100, k101: 101, k102: 102, k103: 103, k104: 104, k105: 105, k106: 106, k107: 107, k108: 108, k109: 109, k110: …
          |                      --- first
        1 | … k147: 147, k148: 148, k149: 149, k150: 150, k151: 151, k152: 152, k153: 153, k154: 154, k155: 155, k156: 156, k157: 157…
          |                                          ^^^
        """)


def test_a_file_that_cannot_be_read_has_a_headline_only() -> None:
    document, findings = load([Path("missing.yaml")])
    assert render(findings, document, "full") == dedent("""\
        missing.yaml:1:1: error[PC001] unreadable-file: cannot be read: No such file or directory
          = more: policycompiler finding PC001

        1 error in 1 file, 0 tasks
        """)


def test_yaml_that_ends_too_early_is_shown_at_its_end() -> None:
    document, findings = load_text("a: [1,\n")
    (headline, *lines) = full(document, *findings).splitlines()
    assert headline.startswith("a.yaml:2:1: error[PC002] invalid-yaml: ")
    assert lines == ["  |", "2 |", "  | ^ while parsing a flow node"]


def load_text(text: str) -> tuple[Document, list[Diagnostic]]:
    Path("a.yaml").write_text(text, encoding="utf-8")
    return load([Path("a.yaml")])


@pytest.mark.parametrize("break_", ["\x85", "\u2028"])
def test_a_line_ends_before_a_refused_line_break(break_: str) -> None:
    document, findings = load_text(f"a: 1{break_}b: 2\n")
    assert full(document, *findings).splitlines()[2:] == [
        "1 | a: 1",
        "  |     ^",
        "  = help: remove the character",
    ]


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_the_loader_counts_them(break_: str) -> None:
    document = document_of(a=f"a: 1{break_}# two{break_}b: 333{break_}")
    assert full(document, LATE.at(("b",), "m")).splitlines()[2:] == ["3 | b: 333", "  |    ^^^"]


@pytest.mark.parametrize(
    "url",
    [
        "redis://shop:s3cret@host:6379/0",
        "redis://:s3cret@host",
        "redis://shop:s3c/s3cret@s3cret@host",
        "sentinel://:s3cret@one;sentinel://:s3cret@host",
    ],
)
@pytest.mark.parametrize("output_format", FORMATS)
def test_no_password_of_a_url_is_printed(url: str, output_format: str) -> None:
    document = document_of(a=f'b: {{url: "{url}", c: 1}}\n')
    related = (Related(("b", "url"), f"this is {url}"),)
    finding = LATE.at(("b", "c"), f"`{url}` is odd", help=f"not {url}", related=related)
    text = render([finding], document, output_format)
    assert "s3c" not in text
    assert "://***@host" in text


def test_the_caret_stands_right_behind_a_masked_password() -> None:
    document = document_of(a='b: {url: "redis://shop:s3cret@host", c: 17}\n')
    finding = LATE.at(("b", "c"), "m", related=(Related(("b", "url"), "here"),))
    assert full(document, finding).splitlines()[2:] == [
        '1 | b: {url: "redis://***@host", c: 17}',
        "  |          ------------------ here",
        "  |                                 ^^",
    ]


def test_a_password_at_the_cut_of_a_long_line_is_masked() -> None:
    document = document_of(a=f"b: [redis://shop:{'s3cret' * 200}@host, 1, {'x' * 200}]\n")
    assert full(document, LATE.at(("b", 1), "m")).splitlines()[2:] == [
        "1 | b: [redis://***@host, 1, " + "x" * 95 + "…",
        "  |                       ^",
    ]


@pytest.mark.parametrize("output_format", FORMATS)
def test_nothing_that_a_terminal_obeys_is_printed_raw(output_format: str) -> None:
    evil = "\x1b[2J\u202e\u2066\u200b\x9b\r\ufeff\udc80"
    name = f"x{evil}.yaml"
    path = ("b", evil)
    document, _ = load_text("b: 1\n")
    document = document._replace(texts={name: f"b: 1 {evil} c"})
    place = Place(name, 1, 1)
    finding = LATE.at(path, f"m {evil}", help=evil, related=(Related(path, evil, place),), place=place)
    text = render([finding], document, output_format)
    assert not set(evil[:1] + evil[4:]) & set(text)


def test_control_characters_are_written_out() -> None:
    document, _ = load_text("b: 1\n")
    finding = LATE.at(("b",), "a\x1b[31m\u202eb\nc")
    text = render([finding], document, "concise")
    assert text.splitlines()[0] == r"a.yaml:1:4: warning[PC401] late: a\x1b[31m\u202eb\nc"


def test_color_marks_places_severity_names_and_commands_and_dims_the_gutter() -> None:
    document = document_of(a="b: 12\n")
    text = render([LATE.at(("b",), "m", help="h")], document, "full", color=True)
    assert text == (
        "\x1b[36ma.yaml:1:4\x1b[0m: \x1b[1;33mwarning[PC401]\x1b[0m \x1b[1mlate\x1b[0m: m\n"
        "\x1b[2m  |\x1b[0m\n"
        "\x1b[2m1 |\x1b[0m b: 12\n"
        "\x1b[2m  |\x1b[0m    \x1b[1;33m^^\x1b[0m\n"
        "\x1b[2m  =\x1b[0m \x1b[1mhelp\x1b[0m: h\n"
        "\x1b[2m  =\x1b[0m \x1b[1mmore\x1b[0m: \x1b[35mpolicycompiler finding PC401\x1b[0m\n"
        "\n1 warning in 1 file, 0 tasks\n"
    )


def test_a_clean_plan_is_counted_by_kind() -> None:
    document = document_of(payments=PAYMENTS)
    plan = plan_of(
        {
            "task:a": {"queue": "q"},
            "task:b": {"queue": "q"},
            "queue:q": {"exchange": "q"},
            "worker:w": {"pool": "solo"},
        }
    )
    summary = "2 tasks, 1 queue, 1 worker, 0 schedules: nothing to report\n"
    assert render([], document, "full", plan=plan) == summary
    assert render([], document, "concise", plan=plan) == summary
    assert render([], document, "full") == "1 file, 1 task: nothing to report\n"
    assert render([LATE.at((), "m")], document, "concise", plan=plan).endswith(
        "1 warning in 1 file, 2 tasks\n"
    )


def test_a_policy_file_is_counted_where_something_is_found_in_it_only() -> None:
    rules = document_of(policy="version: 1\n")
    document = document_of(payments=PAYMENTS)
    document = document._replace(texts={**document.texts, **rules.texts}, policy=rules.marks)
    assert render([], document, "full") == "1 file, 1 task: nothing to report\n"
    of_the_rules = LATE.at((), "m", place=Place("policy.yaml", 1, 1))
    assert render([of_the_rules], document, "concise").endswith("1 warning in 2 files, 1 task\n")


def test_json_resolves_every_place() -> None:
    document = document_of(payments=PAYMENTS, reports=REPORTS)
    runtime = ("tasks", "shop.reports.yearly", "runtime", "p99")
    findings = [
        VISIBILITY.at(("broker", "visibility_timeout"), "m", help="h", related=(Related(runtime, "n"),)),
        HINT.at((), "no file", place=Place("", 1, 1)),
    ]
    assert json.loads(render(findings, document, "json")) == {
        "format": 1,
        "findings": [
            {
                "code": "PC101",
                "name": "hint",
                "severity": "info",
                "message": "no file",
                "path": [],
                "file": None,
                "line": None,
                "column": None,
                "help": "",
                "fixable": False,
                "related": [],
                "waived": None,
            },
            {
                "code": "PC311",
                "name": "late-ack-run-over-visibility",
                "severity": "error",
                "message": "m",
                "path": ["broker", "visibility_timeout"],
                "file": "payments.yaml",
                "line": 4,
                "column": 23,
                "help": "h",
                "fixable": False,
                "related": [
                    {"note": "n", "path": list(runtime), "file": "reports.yaml", "line": 3, "column": 30}
                ],
                "waived": None,
            },
        ],
        "summary": {
            "errors": 1,
            "warnings": 0,
            "infos": 1,
            "waived": 0,
            "hidden_by_baseline": 0,
            "files": 2,
            "tasks": 2,
        },
    }


def test_where_to_read_more_is_said_once_a_finding_and_never_of_an_organisations_own() -> None:
    document = document_of(payments=PAYMENTS)
    own = Finding("ORG", "payments-on-quorum", Severity.ERROR)
    found = [finding.at(CARD, message) for finding in (RETRY, HINT, own) for message in ("one", "two")]
    assert re.findall("more: .*", render(found, document, "full")) == [
        "more: policycompiler finding PC204",
        "more: policycompiler finding PC101",
    ]


WAIVED = Waived("charges carry\na key, see redis://u:s3cret@h", "storefront", "2027-03-31")


def waived_and_open() -> list[Diagnostic]:
    waived = replace(RETRY.at((*CARD, "retry"), "m", help="h"), waived=WAIVED)
    later = replace(LATE.at(CARD, "m"), waived=WAIVED._replace(expires="2028-01-01"))
    return [later, waived, HINT.at((*CARD, "retry", "max"), "open", fix=(Remove((*CARD, "retry")),))]


def test_waived_findings_stand_last_and_do_not_count() -> None:
    document = document_of(payments=PAYMENTS)
    assert render(waived_and_open(), document, "full", hidden=2) == dedent("""\
        payments.yaml:10:41: info[PC101] hint: open
           |
        10 |     retry: {on: [ConnectionError], max: 3}
           |                                         ^
           = more: policycompiler finding PC101

        payments.yaml:7:5: waived[PC401] late: m
          = waived by storefront until 2028-01-01: charges carry\\na key, see redis://***@h

        payments.yaml:10:12: waived[PC204] retry-non-idempotent: m
          = waived by storefront until 2027-03-31: charges carry\\na key, see redis://***@h

        1 info in 1 file, 1 task (2 findings waived, next waiver expires 2027-03-31; 2 findings hidden by the baseline)
        run `policycompiler check --fix` to apply the safe fixes
        """)
    assert render(waived_and_open()[:2], document, "concise", color=True) == (
        "\x1b[36mpayments.yaml:7:5\x1b[0m: \x1b[2mwaived[PC401]\x1b[0m \x1b[1mlate\x1b[0m: m "
        "(by storefront until 2028-01-01: charges carry\\na key, see redis://***@h)\n"
        "\x1b[36mpayments.yaml:10:12\x1b[0m: \x1b[2mwaived[PC204]\x1b[0m "
        "\x1b[1mretry-non-idempotent\x1b[0m: m (by storefront until 2027-03-31: charges carry\\na key, see redis://***@h)\n"
        "1 file, 1 task: nothing to report (2 findings waived, next waiver expires 2027-03-31)\n"
    )


def test_json_says_what_is_waived_and_what_can_be_mended() -> None:
    document = document_of(payments=PAYMENTS)
    data = json.loads(render(waived_and_open(), document, "json", hidden=2))
    assert [(found["code"], found["waived"], found["fixable"]) for found in data["findings"]] == [
        ("PC401", {**SAID, "expires": "2028-01-01"}, False),
        ("PC204", SAID, False),
        ("PC101", None, True),
    ]
    assert data["summary"] == {
        "errors": 0,
        "warnings": 0,
        "infos": 1,
        "waived": 2,
        "hidden_by_baseline": 2,
        "files": 1,
        "tasks": 1,
    }


SAID = {
    "reason": "charges carry\na key, see redis://***@h",
    "owner": "storefront",
    "expires": "2027-03-31",
}


def test_a_waived_finding_never_stands_for_an_equal_one_that_counts() -> None:
    document = document_of(payments=PAYMENTS)
    one = RETRY.at(CARD, "m")
    for both in ([one, replace(one, waived=WAIVED)], [replace(one, waived=WAIVED), one]):
        (found,) = located(both, document)
        assert found.diagnostic.waived is None


@pytest.mark.parametrize("output_format", FORMATS)
def test_the_order_in_which_findings_are_made_does_not_show(output_format: OutputFormat) -> None:
    document = document_of(payments=PAYMENTS, reports=REPORTS)
    found = [
        *waived_and_open(),
        *(LATE.at(("tasks", "shop.reports.yearly"), message) for message in ("a", "b", "a")),
    ]
    texts = {render(order, document, output_format) for order in (found, found[::-1], found * 2)}
    assert len(texts) == 1
