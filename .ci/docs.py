"""Write the pages that are made from code: policies, findings, and the vocabulary of the plan.

docs.py [FOLDER]     by default `docs/`; findings have a page for each chapter, and an index
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from policycompiler import manual
from policycompiler.manual.plans import plan_page
from policycompiler.manual.text import mend_words, severity_words

INDEX = """\
# The findings

All findings, with their severity and a link to their page. The command `policycompiler finding CODE` prints
the same page. For each finding, a page shows an example that has it and a similar one that does not. An
example needs these lines too, unless it has its own:

```yaml
{head}
```

A waiver lets one workload keep a finding until a day. Its `at` is the path that the finding names, or `"*"`:

```yaml
waivers:
  - finding: late-ack-non-idempotent
    at: tasks.shop.mail.send
    reason: why this is acceptable
    owner: team-that-answers
    expires: YYYY-MM-DD
```

A severity in the policy file applies to every workload: `severities: {{retry-no-jitter: "off"}}`. Each
finding belongs to a profile: `minimal`, `standard` or `strict`. A compile reports the findings of its profile
and of the smaller ones. Some findings prevent output: neither a policy file nor a waiver can change them.
Made from the docstrings by `make docs`.

{contents}

| code | finding | severity |
|---|---|---|
{rows}
"""


def policies_page() -> str:
    """The page of all policies, made from their docstrings."""
    head = "In the order in which they decide. Made from their docstrings by `make docs`."
    return "\n\n".join(["# The policies", head, *map(policy_section, manual.policy_pages())]) + "\n"


def policy_section(page: manual.Page) -> str:
    """A policy below its heading."""
    found = [
        f"- [`{entry.finding.code}`]({link(page, entry)}) {entry.finding.name}, "
        f"{severity_words(entry)}: {entry.mend}"
        for entry in page.findings
    ]
    rows = [
        f"| `{each.name}` | {each.kind} | `{each.default}` | {each.description} |" for each in page.parameters
    ]
    table = ["| parameter | value | default | |", "|---|---|---|---|", *rows]
    blocks = [
        *(f"## {page.name}", page.summary),
        *("**Decides**", page.decides),
        *("**Because**", page.because),
        *("**Example**", f"```text\n{page.example}\n```"),
        *("**Finds**", "\n".join(found) or "Nothing."),
        *("**Parameters**", "\n".join(table) if rows else "None."),
    ]
    if page.names:
        listed = [
            f"| {kind} | {each} | {', '.join(f'`{name}`' for name in some)} |"
            for kind, each, names in page.names
            for some in _in_rows(names.split(", "))
        ]
        blocks += [
            "**Names in expressions**",
            "\n".join(["| about | type | names |", "|---|---|---|", *listed]),
        ]
    return "\n\n".join(blocks)


def _in_rows(names: list[str]) -> list[list[str]]:
    """No row is so long that nobody reads it."""
    return [names[first : first + 20] for first in range(0, len(names), 20)]


def link(page: manual.Page, entry: manual.FindingPage) -> str:
    """Where a finding is explained, from a page of `docs/`."""
    return f"findings/{page.chapter}.md#{entry.finding.code.lower()}"


def index_page() -> str:
    """The index of all findings, by code."""
    head = "\n".join(f"{key}: {value}" for key, value in manual.HEAD.items())
    contents = "\n".join(
        f"- [{chapter}]({chapter}.md): {', '.join(page.name for page in pages)}"
        for chapter, pages in chapters()
    )
    rows = "\n".join(
        f"| [{entry.finding.code}]({page.chapter}.md#{entry.finding.code.lower()}) | {entry.finding.name} | "
        f"{severity_words(entry)} |"
        for page, entry in manual.all_findings()
    )
    return INDEX.format(head=head, contents=contents, rows=rows)


def chapters() -> Iterator[tuple[str, list[manual.Page]]]:
    """The pages that define findings, by chapter, in the order of the way."""
    pages = sorted(manual.finding_pages(), key=lambda page: manual.CHAPTERS.index(page.chapter))
    for chapter, found in groupby(pages, key=lambda page: page.chapter):
        yield chapter, list(found)


def chapter_page(chapter: str, pages: list[manual.Page]) -> str:
    """The findings of a chapter."""
    top = "[All findings, and how to waive one](README.md)."
    sections = [block for page in pages for block in finding_sections(page)]
    return "\n\n".join([f"# Findings: {chapter}", top, *sections]) + "\n"


def finding_sections(page: manual.Page) -> list[str]:
    """The findings of one policy or room, below its heading."""
    policy = f"[What the policy decides](../policies.md#{page.name})."
    tunable = (
        f"[Its parameters](../policies.md#{page.name}) can be set in the policy file."
        if page.parameters
        else ""
    )
    own = [f"## {page.name}", page.summary, page.because, page.is_policy and f"{policy} {tunable}".strip()]
    return [block for block in own if block] + [block for e in page.findings for block in finding_section(e)]


def finding_section(entry: manual.FindingPage) -> list[str]:
    """One finding, its anchor first."""
    own = entry.finding
    said = manual.said(entry)
    blocks = [
        f'<a id="{own.code.lower()}"></a>',
        f"### {own.code} {own.name}",
        f"**Severity:** {severity_words(entry)}",
        said and f"```text\n{own.severity}[{own.code}] {own.name}: {said.message}\n```",
        f"**To do:** {mend_words(entry)}",
        entry.when and f"**Found when** {entry.when}",
    ]
    for title, text in (
        ("With this in the policy file:", entry.policy),
        ("Fires:", entry.fires),
        ("Does not fire:", entry.silent),
    ):
        blocks += [title, f"```yaml\n{text}\n```"] if text else []
    return [block for block in blocks if block]


def pages() -> dict[str, str]:
    """Every generated page by its name below `docs/`."""
    made = {f"findings/{chapter}.md": chapter_page(chapter, found) for chapter, found in chapters()}
    return {
        "policies.md": policies_page(),
        "plan.md": plan_page(),
        "findings/README.md": index_page(),
        **made,
    }


def main(folder: Path) -> None:
    """Write them, and remove pages of chapters that are no more."""
    made = pages()
    (folder / "findings").mkdir(exist_ok=True)
    for stale in {f"findings/{path.name}" for path in (folder / "findings").iterdir()} - made.keys():
        (folder / stale).unlink()
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(*sys.argv[1:]) if sys.argv[1:] else Path(__file__).parents[1] / "docs")
