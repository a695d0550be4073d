"""`policycompiler test-policy`: test a policy file against sample workloads."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from policycompiler import policy_tests, report
from policycompiler.cli import running


@click.command("test-policy")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
def test_policy(file: Path) -> None:
    """Test a policy file against sample workloads and their expected findings, which FILE lists.

    \b
    Example:
      policycompiler test-policy policy-tests.yaml
    """
    result = policy_tests.run(file)
    if result.refused:
        click.echo(report.render(result.refused, result.document, "full"), nl=False, err=True)
        sys.exit(running.EXIT_MISRULED)
    for outcome in result.outcomes:
        click.echo(f"{'failed' if outcome.problems else 'passed'}: {report.clean(outcome.name)}")
        for problem in outcome.problems:
            click.echo(f"  {report.clean(problem)}")
    failed = sum(bool(outcome.problems) for outcome in result.outcomes)
    click.echo(f"{len(result.outcomes) - failed} passed, {failed} failed")
    sys.exit(running.EXIT_FINDINGS if failed else 0)
