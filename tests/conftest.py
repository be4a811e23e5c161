"""Fixtures that run the real unitd."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness import Manager


@pytest.fixture
def manager() -> Iterator[Manager]:
    """A unitd of its own, started by the test with `.boot()`; at the end it must stop cleanly and leave nothing behind."""
    m = Manager()
    try:
        yield m
    finally:
        m.close()


@pytest.fixture(params=["cgroup", "no-cgroup"])
def any_manager(request: pytest.FixtureRequest) -> Iterator[Manager]:
    """The same with cgroup2 as found, and without it."""
    m = Manager({"UNITD_CGROUP": "off"} if request.param == "no-cgroup" else {})
    try:
        yield m
    finally:
        m.close()

