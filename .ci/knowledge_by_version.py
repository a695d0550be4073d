"""Hold what the tests say about Celery and its brokers against several versions of Celery.

    knowledge_by_version.py [VERSION …]     by default those of the last years

Each version runs `tests/knowledge` in an environment of its own, without policycompiler. A claim that is
marked `since` a newer version is expected to fail; one that fails unmarked, or holds although it is marked,
makes the run fail. Needs the servers that the tests start.
"""

# ruff: noqa: S603, T201 - a script; it runs pip and pytest, and prints a table

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as Xml  # noqa: ICN001 - it reads pytest's own report, written a moment ago

ROOT = Path(__file__).parents[1]
VERSIONS = json.loads((ROOT / "policycompiler/knowledge/celery_versions.json").read_text())["versions"][-3:]
"""Those of the last years; the installed one is the newest."""
TOOLS = ("gevent", "psutil", "pytest", "pytest-xdist")

HOLDS, CHANGED, CANNOT_RUN, UNEXPECTED = "holds", "changed", "cannot run", "UNEXPECTED"


class Claim(NamedTuple):
    """A test, what came of it, and why."""

    name: str
    outcome: str
    why: str


def main(versions: tuple[str, ...]) -> int:
    """Print what holds where; 1 when something is not as the tests say."""
    tables = {version: list(_claims(version)) for version in versions}
    files = sorted({claim.name.partition("::")[0] for claims in tables.values() for claim in claims})
    print(f"{'':24}" + "".join(f"{f'Celery {version}':>34}" for version in versions))
    print(f"{'':24}" + "".join(f"{'holds changed cannot UNEXPECTED':>34}" for _ in versions))
    for file in files:
        cells = [_counts(claims, file) for claims in tables.values()]
        print(f"{file:24}" + "".join(f"{cell:>34}" for cell in cells))
    for version, claims in tables.items():
        for claim in claims:
            if claim.outcome != HOLDS:
                print(f"{version} {claim.outcome}: {claim.name}: {claim.why}")
    unexpected = any(claim.outcome == UNEXPECTED for claims in tables.values() for claim in claims)
    return int(unexpected or not all(tables.values()))


def _counts(claims: list[Claim], file: str) -> str:
    found = Counter(claim.outcome for claim in claims if claim.name.startswith(f"{file}::"))
    return f"{found[HOLDS]:5} {found[CHANGED]:7} {found[CANNOT_RUN]:6} {found[UNEXPECTED]:10}"


def _claims(version: str) -> Iterator[Claim]:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python, report = Path(folder, "bin", "python"), Path(folder, "report.xml")
        install = ("-m", "pip", "install", "--quiet", f"celery[redis]=={version}.*", *TOOLS)
        subprocess.run([python, *install], check=True)
        # An older Celery calls what newer clients have deprecated since, and leaves sockets to them.
        words = ("-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider")
        words = (*words, "-W", "ignore::DeprecationWarning")
        words = (*words, "-W", "ignore::pytest.PytestUnraisableExceptionWarning")
        where = (f"--junitxml={report}", "tests/knowledge")
        with Path(folder, "log").open("w", encoding="utf-8") as log:
            subprocess.run([python, *words, *where], cwd=ROOT, check=False, stdout=log, stderr=log)
        if not report.exists():
            raise RuntimeError(Path(folder, "log").read_text("utf-8"))
        yield from sorted(map(_claim, Xml.parse(report).iter("testcase")))  # noqa: S314 - our own report


def _claim(case: Xml.Element) -> Claim:
    file = case.get("classname", "").rpartition(".")[2] or case.get("name", "")
    name = f"{file}::{case.get('name')}"
    for kind, outcome in (("failure", UNEXPECTED), ("error", UNEXPECTED), ("skipped", CANNOT_RUN)):
        found = case.find(kind)
        if found is not None:
            changed = found.get("type") == "pytest.xfail"
            why = (found.get("message") or "").partition("\n")[0][:200]
            return Claim(name, CHANGED if changed else outcome, why)
    return Claim(name, HOLDS, "")


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:]) or VERSIONS))
