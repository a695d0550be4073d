"""Every place follows from the service's name."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies.platform import installation

DECIDES = {
    "the service": (
        "service: corner-shop",
        {
            "app/user": (
                "corner-shop",
                ("each service has its own user, so services cannot read each other's files"),
            ),
            "app/working_directory": (
                "/opt/corner-shop",
                "Python finds celeryconfig.py and the application in this directory",
            ),
            "app/executable": (
                "/opt/corner-shop/venv/bin/celery",
                ("each service has its own virtual environment"),
            ),
            "app/environment_file": ("/etc/corner-shop/celery.env", "secrets are only in this file"),
            "app/state_directory": None,
        },
    ),
    "a service with schedules": (
        "service: corner-shop\ntasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1h}}",
        {
            "app/state_directory": (
                "corner-shop-beat",
                ("beat stores its state in this directory below /var/lib"),
            )
        },
    ),
}
LEADS_TO = {
    "the service and the pattern": (
        "service: corner-shop",
        "app/executable",
        ["app/service", "PATHS[executable]"],
    ),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(installation, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(installation, fragment).origins[address] == places
