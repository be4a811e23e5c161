"""Pools and rolling restarts, without processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.manager.rollout import begin, ended
from unitd.units import pools
from unitd.units.loader import Loader

POOL = "[Service]\nExecStart=/bin/true %i\n[Socket]\nListenStream=80\n[X-Unitd]\nInstances=3\n"


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    (tmp_path / "web@.service").write_text(POOL)
    (tmp_path / "lone@.service").write_text("[Service]\nExecStart=/bin/true\n")
    return Loader([str(tmp_path)])


def test_a_template_with_instances_has_a_target_and_a_shared_socket(loader: Loader) -> None:
    names = ("web@1.service", "web@2.service", "web@3.service")
    target, socket, member = loader.load("web-pool.target"), loader.load("web.socket"), loader.load("web@2.service")
    assert target.deps("Wants") == names and target.load_state == "loaded"
    assert socket.deps("Triggers") == names
    assert member.deps("PartOf") == ("web-pool.target",) and member.service.sockets == ("web.socket",)
    assert not member.problems
    assert loader.load("web@blue.service").deps("PartOf") == ()
    assert loader.load("lone-pool.target").load_state == loader.load("none-pool.target").load_state == "not-found"


def test_scaling_changes_target_and_socket(loader: Loader) -> None:
    assert len(loader.load("web-pool.target").deps("Wants")) == 3
    loader.scale("web@.service", 5)
    assert len(loader.load("web-pool.target").deps("Wants")) == len(loader.load("web.socket").deps("Triggers")) == 5
    loader.scale("web@.service", 0)
    assert loader.load("web-pool.target").deps("Wants") == ()


def test_numbers() -> None:
    assert [pools.number_of(n) for n in ("w@1.service", "w@10.service", "w@01.service", "w@a.service", "w.service", "w@.service")] == [1, 10, 0, 0, 0, 0]


@given(st.lists(st.sampled_from("abcdef"), max_size=6), st.sets(st.sampled_from("abcdef")))
def test_one_at_a_time_and_the_first_failure_ends_it(units: list[str], bad: set[str]) -> None:
    state, order = begin(units), []
    while state.current:
        order.append(state.current)
        assert ended(state, "nobody", "failed") == state
        state = ended(state, state.current, "failed" if state.current in bad else "done")
    unique = list(dict.fromkeys(units))
    first = next((i for i, u in enumerate(unique) if u in bad), None)
    assert order == (unique if first is None else unique[: first + 1])
    assert state.failed == ("" if first is None else unique[first])
    assert [*state.done, *([state.failed] if state.failed else []), *state.todo] == unique
