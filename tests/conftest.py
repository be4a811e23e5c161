"""Fixtures that run the real unitd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Manager


@pytest.fixture
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """A unitd of its own, started by the test with `.boot()`; at the end it must stop cleanly and leave nothing behind."""
    m = Manager(tmp_path_factory)
    try:
        yield m
    finally:
        m.close()


@pytest.fixture(params=["cgroup", "no-cgroup"])
def any_manager(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """The same with cgroup2 as found, and without it."""
    m = Manager(tmp_path_factory, {"UNITD_CGROUP": "off"} if request.param == "no-cgroup" else {})
    try:
        yield m
    finally:
        m.close()


@pytest.fixture
def tools() -> Path:
    """Programs that test services run."""
    return Path(__file__).parent / "tools"
