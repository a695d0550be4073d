"""What celery-audit, a static checker, reports of the test applications is reported here too.

Its rules need a finding of ours at the same place or about the same thing, or a reason why it is wrong.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from places import APPS
from tools import needs

from policycompiler import adoption
from policycompiler.adoption import Sources

APPLICATIONS = {
    "library": (
        ("library",),
        [
            "--config",
            "library/settings.py",
            "--config",
            "library/celery.py",
            "--settings-namespace",
            "CELERY",
        ],
    ),
    "courier": (("courier.app",), ["--config", "courier/factory.py", "--config", "courier/app.py"]),
    "studio": (("studio.primary", "studio.light"), ["--config", "studio/base.py"]),
}
OURS = {
    "CEL004": "tasks-without-limit",
    "CEL009": "retries-together",
    "CEL013": "route-unmatched",
    "CEL014": "queue-not-in-task-queues",
    "CEL015": "task-name-implicit",
    "CEL016": "task-never-registered",
    "CEL018": "schedule-may-overlap",
    "CEL022": "sent-in-transaction",
    "CEL026": "beat-expires",
}
"""By its rule, our finding."""
WRONG = {
    ("library", "CEL007"): "prefetched messages have not begun to run: their redelivery repeats nothing",
    ("courier", "CEL007"): "the same",
    ("courier", "CEL008"): "Celery's `max_retries` is 3 where the decorator says nothing: the retries end",
    ("courier", "CEL015", "courier/factory.py"): "this class is a base, and no task",
    ("courier", "CEL024"): "a prefetch of 4 is a matter of the run times, which nobody knows here",
    ("studio", "CEL025"): "`task_ignore_result` is set, so no result is missed",
}
"""Where it is wrong, and why."""


@pytest.mark.parametrize("name", APPLICATIONS)
def test_what_celery_audit_reports_is_reported(name, monkeypatch, tmp_path):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "library.settings" if name == "library" else "")
    if name != "library":
        monkeypatch.delenv("DJANGO_SETTINGS_MODULE")
    monkeypatch.setenv("LIBRARY_DATABASE", str(tmp_path / "library.sqlite3"))
    apps, words = APPLICATIONS[name]
    command = [needs("celery-audit"), ".", *words, "--format", "json"]
    done = subprocess.run(command, cwd=APPS / name, capture_output=True, text=True, check=False)
    theirs = [each for each in json.loads(done.stdout)["findings"] if each["severity"] != "unknown"]
    assert theirs
    sources = Sources(
        apps, sys.executable, django=False, rows=False, commands=[], source=[Path()], measured=[], folder=APPS / name
    )  # fmt: skip
    ours = {
        each.name
        for each in adoption.judged(adoption.adopt(sources, None), None, None, written=True).diagnostics
    }
    for each in theirs:
        rule, file = each["rule_id"], each["file"]
        if (name, rule) not in WRONG and (name, rule, file) not in WRONG:
            assert OURS[rule] in ours, each["message"]
