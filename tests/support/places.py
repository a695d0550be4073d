"""Where things are that tests read: the checkout, the examples, and the data of tests."""

from __future__ import annotations

from pathlib import Path

SUPPORT = Path(__file__).parent
TESTS = SUPPORT.parent
DATA = TESTS / "data"
EVERYTHING = DATA / "everything"
EVERYTHING_ELSE = DATA / "everything-policy.yaml"
"""A policy file with what no workload can ask for."""
CORPUS = DATA / "corpus"
ROOT = TESTS.parent
EXAMPLES = ROOT / "examples"
PACKAGE = ROOT / "policycompiler"
APPS = DATA / "apps"
"""Applications written for the tests, each in a folder of its own: code, and the commands that start it."""
