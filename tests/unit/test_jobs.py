"""Jobs and transactions against systemd's rules (transaction.c, job.c, unit_notify), on an engine without processes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.graphs import Deps, engine, run, unit
from unitd.manager import jobs
from unitd.manager.jobs import Refused
from unitd.manager.states import Exit, Exited, Notified
from unitd.units.model import Command

TYPES = ("start", "verify-active", "stop", "reload", "restart")


@pytest.mark.parametrize(
    ("a", "b", "merged"),
    [
        ("start", "verify-active", "start"),
        ("start", "reload", "reload-or-start"),
        ("start", "restart", "restart"),
        ("verify-active", "reload", "reload"),
        ("verify-active", "restart", "restart"),
        ("reload", "restart", "restart"),
        ("stop", "start", None),
        ("stop", "verify-active", None),
        ("stop", "reload", None),
        ("stop", "restart", None),
    ],
)
def test_merging(a: str, b: str, merged: str | None) -> None:
    """job_merging_table: the same either way round; a type merges with itself."""
    assert jobs.merge(a, b) == jobs.merge(b, a) == merged
    assert jobs.conflicting(a, b) == (merged is None)
    assert jobs.merge(a, a) == a


@pytest.mark.parametrize("first", ["active", "inactive", "failed", "activating", "deactivating", "reloading"])
def test_collapsing(first: str) -> None:
    down = first in ("inactive", "failed", "deactivating")
    assert jobs.collapse("try-restart", first) == ("" if down else "restart")
    up = first in ("active", "reloading")
    assert jobs.collapse("try-reload", first) == ("reload" if up else "")
    assert jobs.collapse("reload-or-start", first) == ("reload" if up else "start")


def simple(name: str, deps: Deps | None = None, **section: Any) -> Any:
    return unit(name, deps, type="simple", **section)


def states(made: Any, *names: str) -> list[str]:
    return [made.active(name) for name in names]


@pytest.mark.parametrize(
    ("kind", "both"),
    [("Requires", True), ("BindsTo", True), ("Wants", True), ("Upholds", True), ("Requisite", False), ("PartOf", False), ("After", False), ("OnFailure", False)],
)
def test_what_a_start_pulls_in(kind: str, both: bool) -> None:
    made, world = engine(simple("a.service", {kind: ["b.service"]}), simple("b.service"))
    run(made, world, "a.service")
    assert made.is_up("b.service") == both


@pytest.mark.parametrize(("kind", "code"), [("Requires", 5), ("BindsTo", 5), ("Requisite", 5), ("Wants", 0), ("Upholds", 0)])
def test_a_missing_unit(kind: str, code: int) -> None:
    made, world = engine(simple("a.service", {kind: ["none.service"]}))
    if not code:
        assert run(made, world, "a.service") == ["done"]
        return
    with pytest.raises(Refused) as refused:
        run(made, world, "a.service")
    assert refused.value.exit_code == code and str(refused.value) == "Unit none.service not found."
    assert not made.jobs


def test_requisite_is_not_started_but_has_to_be_up() -> None:
    made, world = engine(simple("a.service", {"Requisite": ["b.service"], "After": ["b.service"]}), simple("b.service"))
    assert run(made, world, "a.service") == ["dependency"]
    run(made, world, "b.service")
    assert run(made, world, "a.service") == ["done"]


@pytest.mark.parametrize("kind", ["Requires", "BindsTo", "Requisite", "PartOf", "Wants", "Upholds"])
def test_a_stop_takes_along_who_depends(kind: str) -> None:
    made, world = engine(simple("a.service", {kind: ["b.service"]}), simple("b.service"))
    run(made, world, "b.service")
    run(made, world, "a.service")
    run(made, world, "b.service", "stop")
    assert made.is_up("a.service") == (kind in ("Wants", "Upholds"))
    assert made.is_up("b.service") == (kind == "Upholds")


@pytest.mark.parametrize("kind", ["Requires", "BindsTo", "Requisite", "PartOf"])
def test_a_restart_takes_along_who_depends_and_is_up(kind: str) -> None:
    made, world = engine(simple("a.service", {kind: ["b.service"]}), simple("b.service"), simple("c.service", {kind: ["b.service"]}))
    run(made, world, "b.service")
    run(made, world, "a.service")
    world.spawned.clear()
    assert run(made, world, "b.service", "restart") == ["done"]
    assert sorted(world.spawned) == ["a.service", "b.service"]
    assert states(made, "a.service", "b.service", "c.service") == ["active", "active", "inactive"]


@pytest.mark.parametrize(("kind", "left"), [("Requires", "active"), ("Wants", "active"), ("PartOf", "active"), ("BindsTo", "inactive")])
def test_a_unit_that_dies_takes_along_who_is_bound_to_it(kind: str, left: str) -> None:
    made, world = engine(simple("a.service", {kind: ["b.service"]}), simple("b.service"))
    run(made, world, "b.service")
    run(made, world, "a.service")
    world.die("b.service")
    assert states(made, "a.service", "b.service") == [left, "failed"]


def test_a_failed_start_fails_who_waits_for_it() -> None:
    """Requires= with After=: the waiting job ends with "dependency", and so on up the chain; Wants= goes on."""
    made, world = engine(
        simple("top.service", {"Requires": ["mid.service"], "After": ["mid.service"]}),
        simple("mid.service", {"Requires": ["low.service"], "After": ["low.service"]}),
        unit("low.service"),
        simple("fan.service", {"Wants": ["low.service"], "After": ["low.service"]}),
    )
    top, fan = run(made, world, "top.service"), run(made, world, "fan.service")
    results: list[str] = []
    made.wait(made.jobs["top.service"], lambda job, result: results.append(result))
    assert not top and not fan and world.spawned == ["low.service"]
    world.die("low.service")
    assert results == ["dependency"]
    assert states(made, "top.service", "mid.service", "low.service", "fan.service") == ["inactive", "inactive", "failed", "active"]


def test_ordering_waits_for_readiness() -> None:
    made, world = engine(unit("a.service", {"Wants": ["b.service"], "After": ["b.service"]}), unit("b.service"))
    run(made, world, "a.service")
    assert world.spawned == ["b.service"]
    made.dispatch("b.service", Notified(made.record("b.service").main_pid, {"READY": "1"}))
    world.settle()
    assert world.spawned == ["b.service", "a.service"]


def test_conflicts_both_ways() -> None:
    made, world = engine(simple("a.service", {"Conflicts": ["b.service"]}), simple("b.service"))
    run(made, world, "b.service")
    assert run(made, world, "a.service") == ["done"]
    assert states(made, "a.service", "b.service") == ["active", "inactive"]
    run(made, world, "b.service")
    assert states(made, "a.service", "b.service") == ["inactive", "active"]


def test_contradicting_requirements_are_refused() -> None:
    made, world = engine(
        simple("a.service", {"Requires": ["b.service", "c.service"]}), simple("b.service"), simple("c.service", {"Conflicts": ["b.service"]})
    )
    with pytest.raises(Refused, match="conflicting jobs"):
        run(made, world, "a.service")
    assert not made.jobs and not world.spawned


def test_a_wanted_unit_that_contradicts_is_left_out() -> None:
    made, world = engine(simple("a.service", {"Requires": ["b.service"], "Wants": ["c.service"]}), simple("b.service"), simple("c.service", {"Conflicts": ["b.service"]}))
    assert run(made, world, "a.service") == ["done"]
    assert states(made, "b.service", "c.service") == ["active", "inactive"]


def test_a_cycle_loses_the_job_nobody_requires() -> None:
    made, world = engine(
        simple("a.service", {"Wants": ["b.service"], "After": ["b.service"]}), simple("b.service", {"Wants": ["c.service"], "After": ["c.service"]}), simple("c.service", {"After": ["a.service"]})
    )
    assert run(made, world, "a.service") == ["done"]
    assert "a.service" in world.spawned and len(world.spawned) == len(set(world.spawned)) < 3
    assert any("deleted to break it" in line for line in world.logged)


def test_a_cycle_of_requirements_is_refused() -> None:
    made, world = engine(
        simple("a.service", {"Requires": ["b.service"], "After": ["b.service"]}), simple("b.service", {"Requires": ["a.service"], "After": ["a.service"]})
    )
    with pytest.raises(Refused, match="Transaction order is cyclic"):
        run(made, world, "a.service")
    assert not made.jobs


def test_upholds_starts_again_what_stopped() -> None:
    made, world = engine(simple("a.service", {"Upholds": ["b.service"]}), simple("b.service"))
    run(made, world, "a.service")
    world.die("b.service", 1, 0)
    assert states(made, "a.service", "b.service") == ["active", "active"]
    assert world.spawned.count("b.service") == 2
    run(made, world, "a.service", "stop")
    world.die("b.service", 1, 0)
    assert states(made, "a.service", "b.service") == ["inactive", "inactive"]


def test_upholds_does_not_run_wild() -> None:
    """A unit that never stays up is started a limited number of times."""
    made, world = engine(simple("a.service", {"Upholds": ["b.service"]}), simple("b.service", start_limit_interval=0.0))
    run(made, world, "a.service")
    for _ in range(30):
        if made.is_up("b.service"):
            world.die("b.service")
    assert world.spawned.count("b.service") == 17 and made.active("b.service") == "failed"
    assert any("too often" in line for line in world.logged)


def test_stop_when_unneeded() -> None:
    made, world = engine(simple("a.service", {"Requires": ["b.service"]}), simple("b.service", stop_when_unneeded=True), simple("c.service", {"Wants": ["b.service"]}))
    run(made, world, "a.service")
    run(made, world, "c.service")
    run(made, world, "a.service", "stop")
    assert made.is_up("b.service")
    run(made, world, "c.service", "stop")
    assert not made.is_up("b.service")


def test_propagates_stop_to_and_reload_to() -> None:
    made, world = engine(simple("a.service", {"PropagatesStopTo": ["b.service"]}), simple("b.service"), simple("c.service", {"StopPropagatedFrom": ["a.service"]}))
    for name in ("a.service", "b.service", "c.service"):
        run(made, world, name)
    run(made, world, "a.service", "stop")
    assert states(made, "b.service", "c.service") == ["inactive", "inactive"]


def test_on_failure_and_on_success() -> None:
    made, world = engine(simple("a.service", {"OnFailure": ["f.service"], "OnSuccess": ["s.service"]}), simple("f.service"), simple("s.service"))
    run(made, world, "a.service")
    world.die("a.service")
    assert states(made, "f.service", "s.service") == ["active", "inactive"]
    told = made.monitored(made.unit("f.service"))
    assert told["MONITOR_UNIT"] == "a.service" and told["MONITOR_SERVICE_RESULT"] == "exit-code"
    assert (told["MONITOR_EXIT_CODE"], told["MONITOR_EXIT_STATUS"]) == ("exited", "1") and len(told["MONITOR_INVOCATION_ID"]) == 32
    run(made, world, "a.service")
    run(made, world, "a.service", "stop")
    assert made.is_up("s.service")


def test_success_action_and_failure_action() -> None:
    made, world = engine(simple("a.service", success_action="exit", failure_action="exit-force", failure_action_exit_status=7))
    run(made, world, "a.service")
    world.die("a.service", 1, 0)
    run(made, world, "a.service")
    world.die("a.service", 1, 3)
    assert world.acted == [("a.service", "exit", 0), ("a.service", "exit-force", 7)]


def test_start_limit_action() -> None:
    made, world = engine(simple("a.service", start_limit_burst=1, start_limit_action="reboot"))
    run(made, world, "a.service")
    run(made, world, "a.service", "stop")
    assert run(made, world, "a.service") == ["failed"]
    assert world.acted == [("a.service", "reboot", 1)]


def test_job_timeout() -> None:
    made, world = engine(simple("a.service", {"Wants": ["b.service"], "After": ["b.service"], "OnFailure": ["c.service"]}, job_timeout=5.0), unit("b.service"), simple("c.service"))
    results = run(made, world, "a.service")
    made.wait(made.jobs["a.service"], lambda job, result: results.append(result))
    world.pass_time(4)
    assert not results
    world.pass_time(2)
    assert results[0] == "timeout" and made.active("a.service") == "inactive" and made.is_up("c.service")


def test_job_running_timeout_does_not_count_waiting() -> None:
    made, world = engine(unit("a.service", {"Wants": ["b.service"], "After": ["b.service"]}, job_running_timeout=5.0), unit("b.service"))
    run(made, world, "a.service")
    world.pass_time(60)
    assert made.jobs["a.service"].running is False
    made.dispatch("b.service", Notified(made.record("b.service").main_pid, {"READY": "1"}))
    world.settle()
    assert made.jobs["a.service"].running
    world.pass_time(6)
    assert "a.service" not in made.jobs


def test_mode_fail_changes_no_queued_job() -> None:
    made, world = engine(unit("a.service"))
    run(made, world, "a.service")
    with pytest.raises(Refused) as refused:
        made.submit(["a.service"], "stop", "fail")
    assert refused.value.exit_code == 4 and "is destructive" in str(refused.value)
    assert made.jobs["a.service"].type == "start"


def test_mode_replace_cancels_the_queued_job() -> None:
    made, world = engine(unit("a.service"))
    results: list[str] = []
    [(_, job)] = made.submit(["a.service"], "start")
    assert job is not None
    made.wait(job, lambda _job, result: results.append(result))
    world.settle()
    run(made, world, "a.service", "stop")
    assert results == ["canceled"] and made.active("a.service") in ("inactive", "failed")


def test_irreversible_jobs_stay() -> None:
    made, world = engine(unit("a.service"))
    run(made, world, "a.service", "start", "replace-irreversibly")
    with pytest.raises(Refused, match="is destructive"):
        made.submit(["a.service"], "stop")
    made.cancel(made.jobs["a.service"])
    made.submit(["a.service"], "stop")


def test_isolate() -> None:
    made, world = engine(
        unit("t.target", {"Wants": ["a.service"]}, allow_isolate=True), simple("a.service"), simple("b.service"), simple("keep.service", ignore_on_isolate=True)
    )
    for name in ("b.service", "keep.service"):
        run(made, world, name)
    assert run(made, world, "t.target", "start", "isolate") == ["done"]
    assert states(made, "a.service", "b.service", "keep.service") == ["active", "inactive", "active"]
    with pytest.raises(Refused, match="may not be isolated"):
        made.submit(["a.service"], "start", "isolate")


def test_flush_cancels_everything_else() -> None:
    made, world = engine(unit("a.service"), simple("b.service"))
    run(made, world, "a.service")
    run(made, world, "b.service", "start", "flush")
    assert "a.service" not in made.jobs and made.is_up("b.service")


@pytest.mark.parametrize(("mode", "pulls", "waits"), [("ignore-requirements", False, True), ("ignore-dependencies", False, False)])
def test_ignoring(mode: str, pulls: bool, waits: bool) -> None:
    made, world = engine(simple("a.service", {"Requires": ["b.service"], "After": ["c.service"]}), simple("b.service"), unit("c.service"))
    run(made, world, "c.service")
    run(made, world, "a.service", "start", mode)
    assert made.is_up("b.service") == pulls
    assert ("a.service" in world.spawned) == (not waits)


def test_triggering_stops_the_trigger_too() -> None:
    made, world = engine(simple("a.service"), unit("t.target", {"Triggers": ["a.service"]}))
    run(made, world, "a.service")
    run(made, world, "t.target")
    run(made, world, "a.service", "stop", "triggering")
    assert states(made, "a.service", "t.target") == ["inactive", "inactive"]


def test_restart_dependencies_restarts_who_depends() -> None:
    made, world = engine(simple("a.service"), simple("b.service", {"Requires": ["a.service"]}))
    run(made, world, "b.service")
    world.die("a.service")
    world.spawned.clear()
    run(made, world, "a.service", "start", "restart-dependencies")
    assert sorted(world.spawned) == ["a.service", "b.service"]


def test_a_reload_while_one_runs_is_done_once_more() -> None:
    """A daemon that reloads may have read its old file already."""
    made, world = engine(unit("a.service"))
    job = made.install("a.service", "reload")
    job.running = True
    assert made.install("a.service", "reload") is job and not job.running


def test_starts_join_one_job() -> None:
    made, world = engine(unit("a.service"))
    results: list[str] = []
    for _ in range(3):
        [(_, job)] = made.submit(["a.service"], "start")
        assert job is not None
        made.wait(job, lambda _job, result: results.append(result))
        world.settle()
    made.dispatch("a.service", Notified(made.record("a.service").main_pid, {"READY": "1"}))
    world.settle()
    assert results == ["done"] * 3 and world.spawned == ["a.service"]


def test_a_stop_that_overtakes_the_process_still_ends_it() -> None:
    """The warden has not answered yet when the stop comes: the process gets its signal once it is known."""
    made, world = engine(simple("a.service"))
    made.submit(["a.service"], "start")
    made.run_queue()
    answer, world.pending = world.pending, []
    made.submit(["a.service"], "stop")
    made.run_queue()
    assert made.active("a.service") == "deactivating" and world.alive
    world.pending += answer
    world.settle()
    assert not world.alive and made.active("a.service") in ("inactive", "failed") and not made.jobs


def test_conditions() -> None:
    """A condition that does not hold skips the unit and fails nobody; an assert fails; dependants of a Requisite= fail as it is not up."""
    made, world = engine(
        simple("a.service"), simple("b.service", {"Requires": ["a.service"], "After": ["a.service"]}), condition={"a.service": (False, True)}
    )
    assert run(made, world, "b.service") == ["done"] and states(made, "a.service", "b.service") == ["inactive", "active"]
    run(made, world, "b.service", "stop")
    world.condition["a.service"] = (True, False)
    assert run(made, world, "a.service") == ["assert"]
    assert run(made, world, "b.service") == ["dependency"]


def test_unsupported_types() -> None:
    made, world = engine(unit("data.mount"), simple("a.service", {"Requires": ["data.mount"], "After": ["data.mount"]}), simple("b.service", {"Wants": ["data.mount"]}))
    assert run(made, world, "data.mount") == ["unsupported"]
    assert run(made, world, "a.service") == ["dependency"]
    assert run(made, world, "b.service") == ["done"]


def test_a_target_comes_after_what_it_pulls_in_unless_it_says_before() -> None:
    made, _ = engine(
        unit("t.target", {"Wants": ["a.service", "b.service", "c.service"], "Before": ["b.service"]}, default_dependencies=True),
        simple("a.service", default_dependencies=True), simple("b.service", default_dependencies=True), simple("c.service"),
    )  # fmt: skip
    assert made.graph.after("t.target") == ("a.service",)
    assert made.graph.before("a.service") == ("t.target",)
    assert made.graph.before("t.target") == ("b.service",)


def test_units_nobody_needs_are_forgotten() -> None:
    made, world = engine(simple("a.service", {"Wants": ["gone.service"]}))
    for name in ("asked.service", "gone.service", "tpl@.service"):
        made.unit(name)
    world.settle()
    assert set(made.graph.units) == {"a.service", "gone.service"}  # what a unit names stays, as with systemd
    assert not set(made.records) - {"a.service", "gone.service"} and "asked.service" in made.forgotten


def test_instances_that_are_down_are_remembered_up_to_a_number() -> None:
    names = [f"w@{n}.service" for n in range(100)]
    made, world = engine(*(simple(name) for name in names))
    for name in names:
        run(made, world, name)
    assert len(made.graph.units) == 100
    for name in names:
        run(made, world, name, "stop")
    assert sorted(made.graph.units) == sorted(names[-64:])


def test_what_follows_an_alias() -> None:

    b = msgspec.structs.replace(simple("b.service"), names=("b.service", "also.service"))
    made, world = engine(simple("a.service", {"Requires": ["also.service"], "After": ["also.service"]}), b)
    made.source.units["also.service"] = b  # type: ignore[attr-defined]
    run(made, world, "a.service")
    assert world.spawned == ["b.service", "a.service"]
    run(made, world, "also.service", "stop")
    assert states(made, "a.service", "b.service") == ["inactive", "inactive"]


def test_a_service_that_its_exec_condition_skips_does_not_stop_who_requires_it() -> None:
    """As with a condition that does not hold: the job is done (measured with systemd 252)."""

    a = simple("a.service")
    a = msgspec.structs.replace(a, service=msgspec.structs.replace(a.service, exec_condition=(Command("/bin/c", ("/bin/c",)),)))
    made, world = engine(a, simple("b.service", {"Requires": ["a.service"], "After": ["a.service"]}))
    results: dict[str, str] = {}
    made.submit(["b.service"], "start")
    for job in made.jobs.values():
        made.wait(job, lambda job, result: results.update({job.unit: result}))
    world.settle()
    record = made.record("a.service")
    world.pending.append(("a.service", Exited(record.control_token, record.control_pid, Exit(1, 1))))
    world.settle()
    assert results == {"a.service": "done", "b.service": "done"}
    assert states(made, "a.service", "b.service") == ["inactive", "active"] and not made.record("a.service").condition_result
