"""Jobs and transactions: what one request pulls in, and in which order it may run. Pure (systemd.unit(5), systemctl(1))."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from unitd.units.model import Unit

#: Dependencies whose unit is started along, required or merely wanted.
PULLS = ("Requires", "BindsTo")
WANTS = ("Wants", "Upholds")
#: Reverse dependencies that are stopped or restarted along with a unit.
STOPS_WITH = ("Requires", "BindsTo", "Requisite", "PartOf")
#: Reverse dependencies whose start job fails when the unit's start job fails.
FAILS_WITH = ("Requires", "BindsTo", "Requisite")


class Refused(Exception):
    """A transaction that cannot be made. `exit_code` is systemctl's."""

    def __init__(self, code: str, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.code, self.exit_code = code, exit_code
        self.whole = False  # the message says everything, no "Failed to ..." in front


@dataclass
class Job:
    """One job on one unit. `type` is start, stop, restart, reload or verify-active; a unit has at most one."""

    id: int
    unit: str
    type: str
    running: bool = False
    irreversible: bool = False
    ignore_order: bool = False
    automatic: bool = False  # by Restart=, not by anybody's request


@dataclass
class Planned:
    """A job of a transaction before it is installed."""

    unit: str
    type: str
    required: bool  # matters to the anchor: cannot be dropped to break a cycle


@dataclass
class Graph:
    """Dependencies among loaded units in both directions: `reverse[kind][name]` are the units that name `name` under `kind`."""

    units: dict[str, Unit] = field(default_factory=dict)
    reverse: dict[str, dict[str, set[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))

    def add(self, unit: Unit) -> None:
        """Put a unit in, or its new definition in place of the old one."""
        self.remove(unit.name)
        self.units[unit.name] = unit
        for kind, names in unit.unit.dependencies.items():
            for name in names:
                self.reverse[kind][name].add(unit.name)

    def remove(self, name: str) -> None:
        """Take a unit out."""
        old = self.units.pop(name, None)
        if old is not None:
            for kind, names in old.unit.dependencies.items():
                for other in names:
                    self.reverse[kind][other].discard(name)

    def deps(self, name: str, kind: str) -> tuple[str, ...]:
        """What `name` lists under `kind`."""
        unit = self.units.get(name)
        return unit.deps(kind) if unit else ()

    def rdeps(self, name: str, kind: str) -> set[str]:
        """Who lists `name` under `kind`."""
        return self.reverse[kind][name]

    def after(self, name: str) -> set[str]:
        """Units that `name` is ordered after (itself left out)."""
        return ({*self.deps(name, "After")} | self.rdeps(name, "Before")) - {name}

    def before(self, name: str) -> set[str]:
        """Units that `name` is ordered before (itself left out)."""
        return ({*self.deps(name, "Before")} | self.rdeps(name, "After")) - {name}

    def conflicts(self, name: str) -> set[str]:
        """Units that cannot be up together with `name`."""
        return {*self.deps(name, "Conflicts")} | self.rdeps(name, "Conflicts")


def merge(a: str, b: str) -> str | None:
    """One job type for two on the same unit, or None where they contradict."""
    if a == b:
        return a
    pair = {a, b}
    if pair <= {"start", "restart"}:
        return "restart"
    if pair <= {"start", "verify-active"}:
        return "start"
    if pair <= {"start", "reload", "verify-active"}:
        return "reload" if "start" not in pair else "reload-or-start"
    if pair <= {"restart", "reload", "verify-active", "start"}:
        return "restart"
    return None


def plan(
    graph: Graph, load: Callable[[str], Unit], is_up: Callable[[str], bool], anchors: Iterable[tuple[str, str]], mode: str = "replace"
) -> list[Planned]:
    """The jobs of a transaction for `anchors` [(unit, type)].

    `load` brings a unit into the graph and returns it; `is_up` tells active, activating and reloading units.
    Raises `Refused` for a missing required unit (exit code 5), contradictions and cycles nothing can be dropped from.
    """
    jobs: dict[str, Planned] = {}

    def add(name: str, type: str, required: bool, by: str, via: str) -> None:
        have = jobs.get(name)
        if have is not None:
            merged = merge(have.type, type)
            if merged is None:
                if not required:
                    return
                if have.required:
                    raise Refused("conflict", f"Transaction contains conflicting jobs '{have.type}' and '{type}' for {name}.")
                merged = type
            have.required = have.required or required
            if merged == have.type:
                return
            have.type = merged
        else:
            unit = load(name)
            if type in ("start", "restart", "reload", "verify-active"):
                check_loaded(unit, name, by)
            jobs[name] = Planned(name, type, required)
        follow(name, type, required)

    def follow(name: str, type: str, required: bool) -> None:
        if mode in ("ignore-dependencies", "ignore-requirements"):
            return
        if type in ("start", "restart"):
            for kind in PULLS:
                for dep in graph.deps(name, kind):
                    add(dep, "start", required, name, kind)
            for kind in WANTS:
                for dep in graph.deps(name, kind):
                    try:
                        add(dep, "start", False, name, kind)
                    except Refused:
                        continue
            for dep in graph.deps(name, "Requisite"):
                add(dep, "verify-active", required, name, "Requisite")
            for dep in graph.conflicts(name):
                if is_up(dep) or dep in jobs:
                    add(dep, "stop", required, name, "Conflicts")
        if type in ("stop", "restart"):
            others = {dep for kind in STOPS_WITH for dep in graph.rdeps(name, kind)}
            if type == "stop":
                others |= {*graph.deps(name, "PropagatesStopTo")} | graph.rdeps(name, "StopPropagatedFrom")
            for dep in others:
                if is_up(dep):
                    add(dep, type, required, name, "propagation")
        if type == "reload":
            for dep in {*graph.deps(name, "PropagatesReloadTo")} | graph.rdeps(name, "ReloadPropagatedFrom"):
                if is_up(dep):
                    add(dep, "reload", False, name, "PropagatesReloadTo")

    for name, type in anchors:
        add(name, type, True, "", "")
    if mode == "isolate":
        isolate(graph, jobs, is_up)
    break_cycles(graph, jobs)
    return list(jobs.values())


def isolate(graph: Graph, jobs: dict[str, Planned], is_up: Callable[[str], bool]) -> None:
    """Stop everything that the transaction does not need (IgnoreOnIsolate= is spared)."""
    for name, unit in graph.units.items():
        if name not in jobs and is_up(name) and not unit.unit.ignore_on_isolate:
            jobs[name] = Planned(name, "stop", False)


def check_loaded(unit: Unit, name: str, by: str) -> None:
    """Raise `Refused` unless a job may be made for this unit, with systemctl's words and exit codes."""
    if unit.load_state == "loaded":
        return
    if unit.load_state == "not-found":
        raise Refused("no-such-unit", f"Unit {name} not found.", 5)
    if unit.load_state == "masked":
        raise Refused("masked", f"Unit {name} is masked.", 1)
    if unit.load_state == "bad-setting":
        reason = "has a bad unit file setting."
    else:
        reason = "failed to load properly, please adjust/correct and reload service manager: Bad message"
    raise Refused(unit.load_state, f"Unit {name} {reason}\nSee system logs and 'unitctl status {name}' for details.", 1)


def ordered_first(graph: Graph, a: str, a_type: str, b: str, b_type: str) -> bool:
    """Must the job on `b` be over before the one on `a` begins? Stops go first, and in reverse order (systemd.unit(5), Before=)."""
    after = b in graph.after(a)
    before = b in graph.before(a)
    if not (after or before):
        return False
    if a_type == "stop" and b_type == "stop":
        return before
    if "stop" in (a_type, b_type):
        return b_type == "stop"
    return after


def break_cycles(graph: Graph, jobs: dict[str, Planned]) -> None:
    """Drop droppable jobs until the order has no cycle; raise `Refused` when a cycle is all required."""
    while True:
        cycle = find_cycle(graph, jobs)
        if not cycle:
            return
        victim = next((name for name in cycle if not jobs[name].required), None)
        if victim is None:
            raise Refused("cycle", "Transaction order is cyclic: " + " -> ".join([*cycle, cycle[0]]))
        del jobs[victim]


def find_cycle(graph: Graph, jobs: Mapping[str, Planned]) -> list[str]:
    """Unit names along one ordering cycle, or an empty list (iterative depth-first search)."""
    done: set[str] = set()
    for root in jobs:
        if root in done:
            continue
        path: list[str] = []
        on_path: set[str] = set()
        stack: list[tuple[str, bool]] = [(root, False)]
        while stack:
            name, leaving = stack.pop()
            if leaving:
                on_path.discard(path.pop())
                done.add(name)
                continue
            if name in on_path:
                return path[path.index(name) :]
            if name in done:
                continue
            path.append(name)
            on_path.add(name)
            stack.append((name, True))
            for other in graph.after(name) | graph.before(name):
                if other in jobs and other not in done and ordered_first(graph, name, jobs[name].type, other, jobs[other].type):
                    stack.append((other, False))
    return []


def may_run(graph: Graph, job: Job, jobs: Mapping[str, Job]) -> bool:
    """May a waiting job begin: is nothing it is ordered after still under way?"""
    if job.ignore_order:
        return True
    for other in graph.after(job.unit) | graph.before(job.unit):
        blocker = jobs.get(other)
        if blocker is not None and ordered_first(graph, job.unit, job.type, other, blocker.type):
            return False
    return True
