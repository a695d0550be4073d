"""The prose check finds the old dialect, and nothing in what people read now."""

from __future__ import annotations

import subprocess
import sys

import pytest
from places import ROOT

CHECK = [sys.executable, str(ROOT / ".ci" / "prose.py")]

OLD = (
    "deploy the old output and the code of before to the workers of before again",
    "nothing is known of how old and new processes bear with each other over it",
    "an old worker throws away what comes under the new name, a new one what under the old",
    "who fetches a result later than that finds none; the callers have to be looked at",
    "queue `x` is declared otherwise",
    "The day on which waivers are held valid.",
    "Hold a policy file against workloads, as FILE says.",
    "run `check --fix`, which mends what can be mended without harm",
    "reason: why it is borne",
    "task-events: exporters and Flower live on them",
    "Where old and new processes do not bear with each other, order matters.",
    "whoever sends to it has to heed the new name",
    "the queue is made anew for its arguments, and takes this with it",
    "it is what settings are reckoned from; no process reads it",
    "a message that kills its worker must not come back for ever",
    "Celery would ignore it in silence",
    "a task is acknowledged early from now on",
    "it is killed all the same",
    "no new worker takes from the queue any more",
    "a write without end would fill the disk of whoever keeps it, in vain",
    "set `x-message-ttl: MILLISECONDS` for the queue",
    " ".join(["word"] * 26),
)


def checked(text: str, folder) -> subprocess.CompletedProcess[str]:
    page = folder / "page.txt"
    page.write_text(text, "utf-8")
    return subprocess.run([*CHECK, str(page)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("sentence", OLD)
def test_a_sentence_of_the_old_dialect_is_a_fault(sentence, tmp_path):
    found = checked(sentence, tmp_path)
    assert found.returncode == 1, sentence
    assert found.stdout.startswith(f"{tmp_path / 'page.txt'}:1: ")


def test_a_plain_sentence_is_none(tmp_path):
    plain = "The worker discards messages with the old name. Roll the workers back to the previous output."
    found = checked(plain, tmp_path)
    assert (found.returncode, found.stdout) == (0, "")


def test_a_list_of_names_counts_as_one_word(tmp_path):
    text = f"It decides {', '.join(['`name`'] * 30)} and `last`.\n"
    assert checked(text, tmp_path).returncode == 0


def test_code_names_and_amounts_count_as_one_word(tmp_path):
    words = " ".join(["word"] * 20)
    text = f"{words} `a long piece of code that nobody reads as prose` after 1 d 2 h 30 min\n"
    assert checked(text, tmp_path).returncode == 0
