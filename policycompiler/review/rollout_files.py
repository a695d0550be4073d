"""The files of a rollout, in addition to those of the new plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from policycompiler.emitters import emit
from policycompiler.emitters.base import MODE_FILE, OutputFile
from policycompiler.review.outcome import Review

FOLDER = "rollout"
STEPS = f"{FOLDER}/steps.json"
GUIDE = f"{FOLDER}/ROLLOUT.md"


def rollout_files(review: Review, targets: Sequence[str], texts: Mapping[str, str]) -> list[OutputFile]:
    """The compiled folder of each plan in between, with these targets, and the `texts` by path.

    The manifest of the output holds all of them.
    """
    files = [OutputFile(path, text, MODE_FILE, frozenset()) for path, text in texts.items()]
    for folder, plan in review.phases.items():
        files += [file._replace(path=f"{folder}/{file.path}") for file in emit(plan, targets)]
    return sorted(files, key=lambda file: file.path)
