"""What an import tells people besides its findings: what it left out, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from policycompiler.report.text import clean, counted, sentence

LEFT_OUT = "not-in-the-workload.txt"
"""The file of an adopted folder with all that the workload does not say."""
_MOST_TOLD = 40


def left_lines(left: Sequence[tuple[str, str, str]], *, written: bool) -> Iterator[str]:
    """What the workload does not say of today, and why; the rest of a long list is in the `written` file."""
    if not left:
        return
    yield f"\nnot in the workload ({len(left)}):"
    lines = [f"  {line}" for line in every_left(left)]
    yield from lines[:_MOST_TOLD] if written else lines
    if written and len(lines) > _MOST_TOLD:
        yield f"  … and {len(lines) - _MOST_TOLD} more, in {LEFT_OUT}"


def every_left(left: Iterable[tuple[str, str, str]]) -> list[str]:
    """A line for each place, thing and reason."""
    return [
        clean(sentence(f"{place}: {what} ({why})" if place else f"{what} ({why})"))
        for place, what, why in left
    ]


def counts(numbers: Mapping[str, int]) -> str:
    """The sizes of what was found: `38 tasks, 6 queues, 5 workers, 12 schedules`."""
    return ", ".join(counted(number, noun) for noun, number in numbers.items())


def written(paths: Iterable[str], folder: str) -> str:
    """What was written, and what to do next."""
    return clean(f"wrote {', '.join(paths)} in {folder}; next: cd {folder}; policycompiler compile")
