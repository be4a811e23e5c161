"""Generated dependency graphs: the order is valid, nothing starts twice, failures go where systemd's rules send them, and it does not take long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.graphs import World, engine, unit
from unitd.manager.engine import Engine
from unitd.manager.jobs import Refused
from unitd.manager.states import Exit, Exited, Notified
from unitd.units.model import Unit

KINDS = ("Requires", "Wants", "BindsTo", "Requisite", "PartOf", "Conflicts", "Before", "After", "Upholds")


def bring_up(made: Engine, world: World, fails: Callable[[str], bool]) -> None:
    """Answer for every process that is made: it is ready, or ends before it is. Fails if that never ends."""
    for _ in range(10 * len(made.graph.units) + 10):
        world.settle()
        fresh, world.fresh = world.fresh, []
        if not fresh:
            return
        for token, name in fresh:
            if token not in world.alive:
                continue
            record = made.record(name)
            if fails(name):
                world.pending.append((name, Exited(token, record.main_pid, Exit(1, 1))))
            else:
                world.pending.append((name, Notified(record.main_pid, {"READY": "1"})))
    pytest.fail("it does not come to rest")


def layered(count: int, rng: random.Random, most: int = 5) -> list[Unit]:
    """Units that depend on earlier ones only, so that an order exists, and a target that wants all."""
    made = []
    for n in range(count):
        deps: dict[str, list[str]] = {"Requires": [], "Wants": [], "After": []}
        for _ in range(rng.randrange(most) if n else 0):
            other = f"u{rng.randrange(n)}.service"
            deps[rng.choice(("Requires", "Wants", "After"))].append(other)
            if rng.random() < 0.7:
                deps["After"].append(other)
        made.append(unit(f"u{n}.service", {k: list(dict.fromkeys(v)) for k, v in deps.items()}))
    return [*made, unit("all.target", {"Wants": [u.name for u in made]}, default_dependencies=True)]


def check(units: list[Unit], failing: set[str]) -> None:
    """Start everything; see that each unit was started once at most, in order, and that just the right ones are up."""
    made, world = engine(*units)
    made.submit(["all.target"], "start")
    bring_up(made, world, failing.__contains__)
    assert not made.jobs
    assert len(world.spawned) == len(set(world.spawned))
    place = {name: n for n, name in enumerate(world.spawned)}
    held_back: set[str] = set()
    either: set[str] = set()  # requires what fails but is not ordered after it: up if it was quicker
    for u in units[:-1]:
        wrong = [n for n in u.deps("Requires") if n in failing or n in held_back or n in either]
        if any(n in u.deps("After") and n not in either for n in wrong):
            held_back.add(u.name)
        elif wrong:
            either.add(u.name)
    for u in units[:-1]:
        if u.name in either:
            continue
        if u.name in held_back:
            assert u.name not in place
            assert made.active(u.name) == "inactive"
            continue
        assert made.active(u.name) == ("failed" if u.name in failing else "active")
        for other in u.deps("After"):
            assert other not in place or place[other] < place[u.name]
    assert made.active("all.target") == "active"


@given(st.integers(1, 60), st.integers(0, 2**32), st.floats(0, 0.3))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_starts_of_layered_graphs(count: int, seed: int, share: float) -> None:
    rng = random.Random(seed)
    units = layered(count, rng)
    check(units, {u.name for u in units[:-1] if rng.random() < share})


@given(st.integers(0, 2**32))
@settings(max_examples=3, suppress_health_check=[HealthCheck.too_slow])
def test_starts_of_two_thousand_units(seed: int) -> None:
    rng = random.Random(seed)
    units = layered(2000, rng)
    check(units, {u.name for u in units[:-1] if rng.random() < 0.02})


GRAPHS = st.integers(2, 12).flatmap(
    lambda count: st.tuples(
        st.just(count),
        st.lists(st.tuples(st.integers(0, count - 1), st.sampled_from(KINDS), st.integers(0, count - 1)), max_size=3 * count),
        st.lists(
            st.tuples(
                st.sampled_from(("start", "stop", "restart", "try-restart")),
                st.integers(0, count - 1),
                st.sampled_from(("replace", "fail", "replace-irreversibly", "flush", "ignore-requirements", "ignore-dependencies", "triggering")),
            ),
            min_size=1,
            max_size=6,
        ),
        st.sets(st.integers(0, count - 1), max_size=3),
    )
)


@given(GRAPHS)
@example((2, [(1, "Requires", 0), (1, "Before", 0), (1, "After", 0)], [("restart", 1, "replace")], set()))
@example((2, [(0, "Requires", 1), (0, "Before", 1), (1, "Wants", 0), (1, "Requisite", 0), (1, "Before", 0)], [("restart", 1, "replace")], set()))
@example((3, [(0, "Wants", 2), (0, "Before", 1), (1, "Requires", 0), (1, "Conflicts", 2), (1, "Before", 0)], [("start", 1, "replace")], set()))
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_any_graph_and_any_requests_come_to_rest(
    case: tuple[int, list[tuple[int, str, int]], list[tuple[str, int, str]], set[int]],
) -> None:
    """Cycles, contradictions, failures: a request is refused or done, no job is left behind, what conflicts is not up together by one request."""
    count, edges, requests, failing = case
    deps: list[dict[str, list[str]]] = [{} for _ in range(count)]
    for a, kind, b in edges:
        if a != b:
            deps[a].setdefault(kind, []).append(f"u{b}.service")
    made, world = engine(*(unit(f"u{n}.service", {k: dict.fromkeys(v) for k, v in d.items()}) for n, d in enumerate(deps)))
    for verb, n, mode in requests:
        before = dict(made.jobs)
        try:
            made.submit([f"u{n}.service"], verb, mode)
        except Refused as refused:
            assert refused.exit_code in (1, 4) and str(refused)
            assert made.jobs == before
        bring_up(made, world, lambda name: int(name[1:].partition(".")[0]) in failing)
    assert not made.jobs


def test_a_start_of_two_thousand_units_takes_no_time() -> None:
    """Half a second is the aim, bench/transactions.py prints what it is; this only catches what grows with the square."""
    made, world = engine(*layered(2000, random.Random(7)))
    began = time.process_time()
    made.submit(["all.target"], "start")
    bring_up(made, world, lambda name: False)
    assert time.process_time() - began < 10


def test_long_chains_do_not_exhaust_the_stack() -> None:
    """Three thousand units in a row: started, failed at the bottom, stopped from the bottom."""
    count = 3000
    chain = [unit(f"u{n}.service", {"Requires": [f"u{n - 1}.service"], "After": [f"u{n - 1}.service"]} if n else {}) for n in range(count)]
    made, world = engine(*chain)
    last = f"u{count - 1}.service"
    made.submit([last], "start")
    bring_up(made, world, lambda name: name == "u0.service")
    assert world.spawned == ["u0.service"] and not made.jobs
    made.submit([last], "start")
    bring_up(made, world, lambda name: False)
    assert made.active(last) == "active"
    made.submit(["u0.service"], "stop")
    bring_up(made, world, lambda name: False)
    assert not world.alive and not made.jobs
