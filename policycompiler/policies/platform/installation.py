"""Where a service is installed on its hosts.

Decides:
    `app/user`, `app/working_directory`, `app/executable`, `app/environment_file`,
    and if beat runs `app/state_directory`.

Because:
    A unit needs absolute paths, and operators should be able to predict them. Each service has one folder,
    one user and one environment file, named after it. URLs with secrets are only in that file.

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
from policycompiler.policies.policy import deployed

NAME = "installation"

PATHS = {
    "user": "{service}",
    "working_directory": "/opt/{service}",
    "executable": "/opt/{service}/venv/bin/celery",
    "environment_file": "/etc/{service}/celery.env",
    "state_directory": "{service}-beat",
}
"""Paths of the Filesystem Hierarchy Standard for add-on software (/opt, /etc).

Hardened units cannot read home directories.
"""

_FIELDS = {
    "user": "user",
    "working_directory": "directory",
    "executable": "executable",
    "environment_file": "environment_file",
}
"""The field of `deploy` for each."""
_GIVEN = "`deploy` gives it"
_BECAUSE = {
    "user": "each service has its own user, so services cannot read each other's files",
    "working_directory": "Python finds celeryconfig.py and the application in this directory",
    "executable": "each service has its own virtual environment",
    "environment_file": "secrets are only in this file",
    "state_directory": "beat stores its state in this directory below /var/lib",
}


def apply(spec: Workload, plan: Plan) -> Iterator[Decision]:
    """Derive every path from the name of the service, unless `deploy` gives it."""
    service = plan.text(APP, "service")
    for key, pattern in PATHS.items():
        if key == "state_directory" and plan.find(BEAT, "scheduler") is None:
            continue
        field = _FIELDS.get(key)
        if field is not None and (given := deployed(spec, field)) is not None:
            yield Decision(APP, key, given[0], _GIVEN, (given[1],))
            continue
        if key == "executable" and (folder := deployed(spec, "directory")) is not None:
            path = f"{folder[0]}/venv/bin/celery"
            yield Decision(APP, key, path, _BECAUSE[key], (Derived(APP, "working_directory"),))
            continue
        origins = (Derived(APP, "service"), Constant(f"PATHS[{key}]", pattern))
        yield Decision(APP, key, pattern.format(service=service), _BECAUSE[key], origins)
