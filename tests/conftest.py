"""Fixtures that run the real unitd."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.harness import Manager

# A slow machine is no failure. CI tries the same examples each time; new ones are looked for on developers' machines.
settings.register_profile("unitd", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=os.environ.get("UNITD_TEST_REQUIRE") == "all")
settings.load_profile("unitd")


@pytest.fixture
def manager() -> Iterator[Manager]:
    """A unitd of its own, started by the test with `.boot()`; at the end it must stop cleanly and leave nothing behind."""
    with Manager() as m:
        yield m


@pytest.fixture(params=["cgroup", "no-cgroup"])
def any_manager(request: pytest.FixtureRequest) -> Iterator[Manager]:
    """The same with cgroup2 as found, and without it."""
    with Manager({"UNITD_CGROUP": "off"} if request.param == "no-cgroup" else {}) as m:
        yield m

