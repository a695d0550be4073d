"""Where a service lives on its machines.

Decides:
    `app/user`, `app/working_directory`, `app/executable`, `app/environment_file`,
    and where beat runs `app/state_directory`.

Because:
    A unit needs absolute paths, and an operator must be able to guess them: one folder, one user and one
    environment file a service, named after it. URLs with their secrets stand only in that file.

Example:
    tasks: {shop.mail.send: {}}

    app/executable = "/opt/shop/venv/bin/celery"
    app/environment_file = "/etc/shop/celery.env"

Refuses:
    Nothing.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.model import Workload
from policycompiler.plan import APP, BEAT, Constant, Decision, Derived, Plan

NAME = "installation"

PATHS = {
    "user": "{service}",
    "working_directory": "/opt/{service}",
    "executable": "/opt/{service}/venv/bin/celery",
    "environment_file": "/etc/{service}/celery.env",
    "state_directory": "{service}-beat",
}
"""As the Filesystem Hierarchy Standard has it for add-on software (/opt, /etc); never below a home, which
hardened units cannot see."""

_BECAUSE = {
    "user": "one user a service, so that services cannot read each other",
    "working_directory": "celeryconfig.py and the application are found here",
    "executable": "the service's own virtual environment",
    "environment_file": "the only place for secrets",
    "state_directory": "beat's own folder below /var/lib",
}


def apply(spec: Workload, plan: Plan) -> Iterator[Decision]:
    """Derive every place from the service's name."""
    del spec
    service = plan.text(APP, "service")
    for key, pattern in PATHS.items():
        if key == "state_directory" and plan.find(BEAT, "scheduler") is None:
            continue
        origins = (Derived(APP, "service"), Constant(f"PATHS[{key}]", pattern))
        yield Decision(APP, key, pattern.format(service=service), _BECAUSE[key], origins)
