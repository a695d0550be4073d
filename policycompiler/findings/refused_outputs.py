"""What prevents output although the plan is correct: other environments, and limits of the readers.

Refuses:
    PC951 settings-too-large: declare tasks by globs, or leave out the target `kubernetes`.
        when: `celeryconfig.py` has more than 1 MiB, which is the limit of a ConfigMap of Kubernetes.
    PC952 environment-refused: check the environment with `--env`, and fix what it reports.
        when: the target `kubernetes` writes an overlay for each environment, and one has errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from policycompiler.diagnostics import Diagnostic, Place, Severity, SpecPath, error, warning
from policycompiler.emitters.base import OutputFile
from policycompiler.knowledge.kubernetes import LARGEST_CONFIG_MAP_BYTES
from policycompiler.quantities import size

SETTINGS_TOO_LARGE = error("PC951", "settings-too-large")
ENVIRONMENT_REFUSED = warning("PC952", "environment-refused")

_MANIFESTS, _SETTINGS = "kubernetes/", "/celeryconfig.py"


def of_files(files: Iterable[OutputFile]) -> Iterator[Diagnostic]:
    """What the readers of emitted files refuse because of their size."""
    for file in files:
        found = sum(map(len, file.parts))
        kept = file.path.startswith(_MANIFESTS) and file.path.endswith(_SETTINGS)
        if kept and found > LARGEST_CONFIG_MAP_BYTES:
            message = (
                f"{file.path} has {size(found)}, and a ConfigMap of Kubernetes has at most "
                f"{size(LARGEST_CONFIG_MAP_BYTES)}"
            )
            help_text = "declare tasks by globs, or compile other targets only"
            yield SETTINGS_TOO_LARGE.at(("deploy", "image"), message, help=help_text)


def of_environment(name: str, found: Sequence[Diagnostic], place: Place | None) -> Iterator[Diagnostic]:
    """The errors of an environment, which gets no overlay; `found` are its judged findings."""
    errors = [each for each in found if each.severity is Severity.ERROR and each.waived is None]
    if errors:
        message = f"environment {name} gets no overlay on Kubernetes: {errors[0].message} [{errors[0].code}]"
        help_text = f"fix what `policycompiler check --env {name}` reports"
        yield ENVIRONMENT_REFUSED.at(("environments", name), message, help=help_text, place=place)


def of_name(name: str, others: Iterable[str], place: Place | None) -> Iterator[Diagnostic]:
    """An environment whose overlay some file systems cannot distinguish from that of another."""
    for other in others:
        if other.casefold() == name.casefold():
            message = f"environment {name} gets no overlay: it has the name of {other}, ignoring case"
            path: SpecPath = ("environments", name)
            yield ENVIRONMENT_REFUSED.at(path, message, help="rename one of them", place=place)
