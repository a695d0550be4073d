"""Options and order of the test run."""

from __future__ import annotations

import pytest

SLOW_ROOMS = ("rollout", "knowledge", "acceptance")
SLOW_FILES = ("test_files.py", "test_mistakes.py", "test_no_task_lost.py")
"""They wait for other programs, most of the time."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="accept the compiled examples as they are")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for servers comes first: at the end there is nothing left to do beside it."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    room = item.path.parent.name
    if item.path.name in SLOW_FILES:
        return 0
    served = item.get_closest_marker("server") is not None
    return SLOW_ROOMS.index(room) if served and room in SLOW_ROOMS else len(SLOW_ROOMS) + (not served)
