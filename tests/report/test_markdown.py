"""A comment for a pull request, as a reader of CommonMark shows it."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from reported import LATE, PAY, document_of, findings, hostile

from policycompiler.report import render
from policycompiler.report.located import printable
from policycompiler.report.markdown import LONGEST


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def html(text: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)


def test_findings_are_a_list_and_waived_ones_are_folded() -> None:
    assert render(findings(), document_of(), "markdown") == (
        "**policycompiler:** 1 error, 1 warning, 1 info in 1 file, 1 task "
        "(1 finding waived, next waiver expires 2027-03-31)\n"
        "\n"
        "- **info PC101** hint: about all\n"
        "- **warning PC401** late: `pay.yaml:2:30`: 100% late\n"
        "- **error PC204** retry-non-idempotent: `pay.yaml:6:33`: would retry\\\n"
        "  help: write `retry: none`\n"
        "\n"
        "<details>\n"
        "<summary>1 finding waived, next waiver expires 2027-03-31</summary>\n"
        "\n"
        "- **waived PC204** retry-non-idempotent: `pay.yaml:6:12`: would retry too\\\n"
        "  waived by storefront until 2027-03-31: charges carry a key\n"
        "\n"
        "</details>\n"
    )
    assert render([], document_of(), "markdown") == "**policycompiler:** 1 file, 1 task: nothing to report\n"


def test_hostile_text_is_shown_and_does_nothing() -> None:
    text = render(hostile(), document_of(), "markdown")
    assert "s3cret" not in text
    shown = html(text)
    tags = set(re.findall(r"</?([a-z]+)", re.sub("<!-- -->", "", shown)))
    assert tags == {"p", "strong", "ul", "li", "br", "code", "details", "summary"}
    assert shown.count("<ul>") == 2
    assert shown.count("<li>") == 2
    # Nobody is called and no issue or address is linked, in any renderer.
    assert not re.search(r"@[A-Za-z]|(?<![&;])#\d", text)
    assert not re.search(r"https?:|www\.|(?<!\\):tada:|(?<!\\)\$", re.sub("`[^`]*`", "", text))
    words = unescape(re.sub(r"<[^>]*>", "", shown))
    assert words.count(printable(hostile()[0].message).replace("`c`", "c")) == 5


def test_a_comment_is_not_longer_than_one_may_be() -> None:
    found = [LATE.at((*PAY, f"k{number}"), f"{number} {'x' * 900}") for number in range(200)]
    text = render(found, document_of(), "markdown")
    assert len(text) < LONGEST + 100
    left = 200 - text.count("**warning")
    assert text.endswith(f"- and {left} more findings\n")
