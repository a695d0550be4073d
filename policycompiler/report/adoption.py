"""What an import tells people besides its findings: what it left out, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from policycompiler.report.text import clean, counted, sentence

_MOST_TOLD = 40


def left_lines(left: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """What the workload does not say of today: a line for each place, thing and reason."""
    if not left:
        return
    yield f"\nnot in the workload ({len(left)}):"
    for place, what, why in left[:_MOST_TOLD]:
        yield clean(sentence(f"  {place}: {what}: {why}" if place else f"  {what}: {why}"))
    if len(left) > _MOST_TOLD:
        yield f"  … and {len(left) - _MOST_TOLD} more"


def counts(numbers: Mapping[str, int]) -> str:
    """The sizes of what was found: `38 tasks, 6 queues, 5 workers, 12 schedules`."""
    return ", ".join(counted(number, noun) for noun, number in numbers.items())


def written(paths: Iterable[str], folder: str) -> str:
    """What was written, and what to do next."""
    return clean(f"wrote {', '.join(paths)} in {folder}; next: cd {folder}; policycompiler compile")
