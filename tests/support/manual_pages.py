"""docs/policies.md and docs/findings.md, made from the docstrings of what decides and what finds."""

from __future__ import annotations

import re

from policycompiler import manual
from policycompiler.manual.plans import plan_page
from policycompiler.manual.text import mend_words, severity_line, severity_words, waiver

HEAD = """\
What the program finds, grouped by what finds it: what to do, the nearest workloads that have the finding and
that have not, and how to live with it. `policycompiler finding CODE` prints the same. An example stands for a
workload that also has what it lacks of this head:"""

TAIL = """\
A waiver lets one workload be until a day; a severity in the policy file holds for every workload. Profiles
that ask for less than a finding's own do not have it. Made from the docstrings by `make docs`."""


def policies_page() -> str:
    """The page of all policies, made from their docstrings."""
    head = "In the order in which they decide. Made from their docstrings by `make docs`."
    return "\n\n".join(["# The policies", head, *map(policy_section, manual.policy_pages())]) + "\n"


def policy_section(page: manual.Page) -> str:
    found = [
        f"- [`{entry.finding.code}`](findings.md#{entry.finding.code.lower()}) {entry.finding.name}, "
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
            f"| {kind} | {each} | {', '.join(f'`{name}`' for name in names.split(', '))} |"
            for kind, each, names in page.names
        ]
        blocks += [
            "**Names in expressions**",
            "\n".join(["| about | type | names |", "|---|---|---|", *listed]),
        ]
    return "\n\n".join(blocks)


def findings_page() -> str:
    """The page of all findings, made from the docstrings of what finds them."""
    pages = manual.finding_pages()
    lines = "\n".join(f"{key}: {value}" for key, value in manual.HEAD.items())
    contents = [
        f"- [{page.name}](#{slug(page)}): "
        + ", ".join(f"[{e.finding.code} {e.finding.name}](#{e.finding.code.lower()})" for e in page.findings)
        for page in pages
    ]
    sections = [block for page in pages for block in finding_sections(page)]
    return (
        "\n\n".join(["# The findings", HEAD, f"```yaml\n{lines}\n```", TAIL, "\n".join(contents), *sections])
        + "\n"
    )


def slug(page: manual.Page) -> str:
    """The name that a heading gets as a link's target."""
    return page.name.replace(".", "")


def finding_sections(page: manual.Page) -> list[str]:
    link = f"[What the policy decides](policies.md#{page.name})."
    tunable = (
        f"[Its parameters](policies.md#{page.name}) can be set in the policy file." if page.parameters else ""
    )
    own = [f"## {page.name}", page.summary, page.because, page.is_policy and f"{link} {tunable}".strip()]
    return [block for block in own if block] + [block for e in page.findings for block in finding_section(e)]


def finding_section(entry: manual.FindingPage) -> list[str]:
    own = entry.finding
    said = manual.said(entry)
    blocks = [
        f'<a id="{own.code.lower()}"></a>',
        f"### {own.code} {own.name}",
        f"An {severity_words(entry)}." if own.severity != "warning" else f"A {severity_words(entry)}.",
        said and f"```text\n{own.severity}[{own.code}] {own.name}: {said.message}\n```",
        f"**To do:** {mend_words(entry)}",
        entry.when and f"**Found when** {entry.when}",
    ]
    for title, text in (
        ("With this in the policy file:", entry.policy),
        ("This has it:", entry.fires),
        ("This has not:", entry.silent),
        ("A waiver of it:", waiver(entry) if manual.can_be_waived(entry) else ""),
    ):
        blocks += [title, f"```yaml\n{text}\n```"] if text else []
    if own.fatal:
        blocks.append("No output can be made where it is found, so it cannot be waived.")
    else:
        blocks.append(f"In the policy file, for every workload: `{severity_line(own)}`.")
    return [block for block in blocks if block]


PAGES = {"policies.md": policies_page, "findings.md": findings_page, "plan.md": plan_page}


def targets_of(text: str) -> list[str]:
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    return [*re.findall(r'<a id="([^"]+)">', text), *(heading.replace(".", "") for heading in headings)]
