"""What a waiver may name is a list, not what happens to be imported."""

from __future__ import annotations

import subprocess
import sys

from policycompiler import manual
from policycompiler.diagnostics import Finding
from policycompiler.findings.catalogue import FINDINGS


def test_the_catalogue_has_every_finding_that_a_module_defines():
    defined = {
        each for module in manual.modules() for each in vars(module).values() if isinstance(each, Finding)
    }
    assert set(FINDINGS.values()) == defined


def test_the_catalogue_does_not_depend_on_what_is_imported():
    program = "from policycompiler.compiler import FINDINGS; print(*sorted(FINDINGS))"
    alone = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert alone.stdout.split() == sorted(FINDINGS)
