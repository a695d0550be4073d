"""The manual on the command line: pages, lists, wrong names, and the same for machines."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Annotated, Literal

import pytest
from click.testing import CliRunner, Result
from pydantic import Field

from policycompiler import manual
from policycompiler.cli import cli
from policycompiler.diagnostics import Finding, Profile, error, fatal, info, warning
from policycompiler.manual import FindingPage, Page, Parameter, entries, parameters_of
from policycompiler.manual.text import finding_text, policy_text, severity_words
from policycompiler.model import PolicyParameters
from policycompiler.model.units import PositiveDuration, Rate, Size

SOFT_OVER_HARD = error("PC301", "soft-over-hard")
ENTRY = FindingPage(
    SOFT_OVER_HARD,
    "lower the soft limit or raise the hard one.",
    "",
    "tasks: {shop.a: {options: {soft_time_limit: 20, time_limit: 10}}}",
    "tasks: {shop.a: {options: {soft_time_limit: 8, time_limit: 10}}}",
    "",
)
PAGE = Page(
    "time-limits",
    "limits",
    is_policy=True,
    summary="How long a run may take.",
    decides="`app/task_time_limit` in seconds.",
    because="A run without a limit can hold its slot for ever.",
    example="tasks: {}\n\napp/task_time_limit = 432",
    findings=(ENTRY,),
    parameters=(
        Parameter("hard_over_soft", "a number from 1 to 10", "1.2", "the hard limit over the soft one"),
    ),
)

POLICY = """\
time-limits: How long a run may take.

Decides
    `app/task_time_limit` in seconds.

Because
    A run without a limit can hold its slot for ever.

Example
    tasks: {}

    app/task_time_limit = 432

Finds
    PC301 soft-over-hard: error in every profile; a warning in the profile as-is
        lower the soft limit or raise the hard one.

Parameters
    hard_over_soft, a number from 1 to 10; 1.2 by default
        the hard limit over the soft one

    In the policy file:

        parameters:
          time-limits:
            hard_over_soft: 1.2
"""

FINDING = """\
PC301 soft-over-hard: error in every profile; a warning in the profile as-is

Message
    the soft time limit of 20 s is above the hard time limit of 10 s: Celery refuses to send the
    task

To do
    lower the soft limit or raise the hard one.

Fires
    tasks: {shop.a: {options: {soft_time_limit: 20, time_limit: 10}}}

Does not fire
    tasks: {shop.a: {options: {soft_time_limit: 8, time_limit: 10}}}

Because
    A run without a limit can hold its slot for ever.

Policy
    time-limits: How long a run may take.

Parameters
    hard_over_soft, a number from 1 to 10; 1.2 by default
        the hard limit over the soft one

    In the policy file:

        parameters:
          time-limits:
            hard_over_soft: 1.2

If you accept it
    Waive it in the workload until a date:

        waivers:
          - finding: soft-over-hard
            at: "tasks.shop.a.options.soft_time_limit"
            reason: why this is acceptable
            owner: team-that-answers
            expires: YYYY-MM-DD

    Change its severity for every workload in the policy file:

        severities: {soft-over-hard: warning}
"""

REFUSES = """\
PC301 soft-over-hard: lower the soft limit
    or raise the hard one.
    fires: tasks: {shop.a: {}}
    silent:
        tasks:
          shop.a: {}

PC302 limit-not-a-number: write seconds.
    when: nobody knows, and
        nobody asks.
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_the_page_of_a_policy():
    assert policy_text(PAGE) == POLICY


def test_the_page_of_a_finding():
    assert finding_text(PAGE, ENTRY) == FINDING


def test_a_page_says_what_the_program_can_mend():
    data = json.loads(run("finding", "--output-format", "json").output)["findings"]
    fixable = [each["code"] for each in data if each["can_be_fixed"]]
    assert 0 < len(fixable) < len(data)
    assert "`policycompiler check --fix`" in " ".join(run("finding", fixable[0]).output.split())
    assert "--fix" not in finding_text(PAGE, ENTRY)


def test_what_cannot_be_shown_is_told_and_what_is_fatal_stays():
    entry = FindingPage(
        fatal("PC901", "edited-by-hand"), "say it in the workload.", "", "", "", "it was changed."
    )
    page = PAGE._replace(is_policy=False, because="", parameters=())
    assert finding_text(page, entry) == (
        "PC901 edited-by-hand: error; a policy file cannot change it\n\n"
        "To do\n    say it in the workload.\n\n"
        "Found when\n    it was changed.\n\n"
        "If you accept it\n"
        "    The finding prevents output: it cannot be waived, and its severity is fixed.\n"
    )


@pytest.mark.parametrize(
    ("finding", "words"),
    [
        (error("PC301", "a"), "error in every profile; a warning in the profile as-is"),
        (warning("PC301", "a"), "warning in the profiles as-is, standard and strict"),
        (info("PC301", "a", Profile.STRICT), "info in the profile strict"),
    ],
)
def test_a_page_says_in_which_profiles_a_finding_counts(finding: Finding, words: str):
    entry = ENTRY._replace(finding=finding)
    assert severity_words(entry) == words
    assert [profile for profile, severity in entry.levels.items() if severity] == [
        profile for profile in Profile if profile.rank >= finding.profile.rank
    ]


class Parameters(PolicyParameters):
    share: Annotated[float, Field(ge=0, le=1)] = Field(0.5, description="of all")
    longest: PositiveDuration = Field(90, description="before it is late")
    largest: Size = Field(2 * 1024 * 1024, description="of a message")
    rate: Rate = Field(0.5, description="of tasks")
    count: Annotated[int, Field(gt=0)] = Field(3, description="of runs")
    kind: Literal["a", "b"] = Field("a", description="of both")
    names: list[str] = Field(default=["x"], description="of all")
    on: bool = Field(default=True, description="or off")


def test_parameters_are_told_as_the_policy_file_takes_them():
    assert [(each.name, each.kind, each.default) for each in parameters_of(Parameters)] == [
        ("share", "a number from 0 to 1", "0.5"),
        ("longest", "a duration such as 300ms or 5s, or a number of seconds", "1m 30s"),
        ("largest", "a size such as 64KiB or 10MB", "2MiB"),
        ("rate", "a rate such as 10/s or 600/m", "0.5/s"),
        ("count", "a whole number more than 0", "3"),
        ("kind", "one of a, b", '"a"'),
        ("names", "a list", '["x"]'),
        ("on", "true or false", "true"),
    ]


def test_the_entries_of_a_docstring_are_read_on_one_line_or_as_a_block():
    assert list(entries(REFUSES)) == [
        (
            *("PC301", "soft-over-hard"),
            {
                "mend": "lower the soft limit or raise the hard one.",
                "fires": "tasks: {shop.a: {}}",
                "silent": "tasks:\n  shop.a: {}",
            },
        ),
        (
            *("PC302", "limit-not-a-number"),
            {"mend": "write seconds.", "when": "nobody knows, and\nnobody asks."},
        ),
    ]
    assert list(entries("Nothing.")) == []


@pytest.mark.parametrize("name", [page.name for page in manual.policy_pages()])
def test_every_policy_has_a_page_that_fits_a_terminal(name: str):
    found = run("policy", name)
    assert found.exit_code == 0
    assert found.output.startswith(f"{name}: ")
    assert all(len(line) <= 120 for line in found.output.splitlines())
    assert json.loads(run("policy", name, "--output-format", "json").output)["policies"][0]["name"] == name


def test_a_finding_is_found_by_code_and_by_name_in_any_case():
    pages = {run("finding", word).output for word in ("PC301", "pc301", "soft-over-hard", "Soft-Over-Hard")}
    assert len(pages) == 1
    assert run("policy", "time_limits").output == run("policy", "time-limits").output


def test_every_finding_has_a_page_and_they_are_listed_by_code():
    header, *listed = run("finding").output.splitlines()
    assert header.split() == ["code", "finding", "severity", "profile", "remedy"]
    codes = [line.split()[0] for line in listed]
    assert codes == sorted(codes)
    data = json.loads(run("finding", "--output-format", "json").output)
    assert data["format"] == 1
    assert [each["code"] for each in data["findings"]] == codes
    for each, line in zip(data["findings"], listed, strict=True):
        assert line.split()[1] == each["name"]
        assert run("finding", each["code"]).output.startswith(f"{each['code']} {each['name']}: ")


def test_the_policies_are_listed_in_the_order_in_which_they_decide():
    names = [page.name for page in manual.policy_pages()]
    assert [line.split()[0] for line in run("policy").output.splitlines()] == names
    assert [
        each["name"] for each in json.loads(run("policy", "--output-format", "json").output)["policies"]
    ] == names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("policy", "time-limit"), "policy `time-limit` does not exist; did you mean `time-limits`?"),
        (("policy", "x"), "policy `x` does not exist; run `policycompiler policy` for the list"),
        (
            ("finding", "soft-over-hrad"),
            "finding `soft-over-hrad` does not exist; did you mean `soft-over-hard`?",
        ),
        (("finding", "pc30"), "finding `pc30` does not exist; did you mean `PC"),
        (("finding", "%"), "finding `%` does not exist; run `policycompiler finding` for the list"),
    ],
)
def test_an_unknown_name_is_wrong_use_and_names_the_nearest(arguments: tuple[str, str], message: str):
    found = run(*arguments)
    assert found.exit_code == 2
    assert f"Error: {message}" in found.stderr
    assert found.stdout == ""


def test_other_commands_read_no_manual():
    program = (
        "import sys, policycompiler.cli\n"
        "from policycompiler import manual\n"
        "print(manual.policy_pages.cache_info().currsize, 'celery' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "0 False\n"
