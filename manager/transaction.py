"""Transactions: all jobs that one request pulls in, made consistent before any of them is queued. Pure.

The steps, their order and their names are those of systemd's transaction.c: add the job and, recursively, what it pulls in; find what matters to the
anchor; drop what changes nothing; break ordering cycles; merge the jobs of each unit; refuse what would destroy jobs that must stay.
"""

from __future__ import annotations

from collections.abc import Iterator

from unitd.manager import jobs
from unitd.manager.entries import Entry, Link, Pull, World, check_loaded
from unitd.manager.jobs import Refused


class Again(Exception):
    """Something was dropped; the step has to be repeated."""


class Transaction:
    """Build with `plan`; the result is in `entries`, by unit."""

    def __init__(self, world: World, mode: str) -> None:
        self.world, self.graph, self.mode = world, world.graph, mode
        self.by_unit: dict[str, list[Entry]] = {}
        self.anchor: Entry
        self.notes: list[str] = []  # what was dropped, for the log
        self._state: dict[str, str] = {}

    @property
    def entries(self) -> dict[str, Entry]:
        """Unit -> its job, once planned."""
        return {unit: entries[0] for unit, entries in self.by_unit.items()}

    def active(self, name: str) -> str:
        state = self._state.get(name)
        if state is None:
            state = self._state[name] = self.world.active(name)
        return state

    # -- adding

    def add(self, name: str, type: str, by: Entry | None, *, matters: bool = True, requirements: bool = True, ignore_order: bool = False) -> Entry:
        """Add a job and all that it pulls in. Raises `Refused`; what was added by then stays, as with systemd."""
        entry, new = self._one(Pull(name, type, matters), by, ignore_order)
        if by is None:
            self.anchor = entry
        if not new or not requirements:
            return entry
        stack: list[tuple[Entry, Iterator[Pull]]] = [(entry, self._pulls(entry))]
        doing: list[Pull] = []  # the pull that each level but the first came from
        while stack:
            top, pulls = stack[-1]
            pull = next(pulls, None)
            if pull is None:
                stack.pop()
                if doing:
                    doing.pop()
                continue
            try:
                found, new = self._one(pull, top, ignore_order)
            except Refused as error:
                if pull.tolerant or error.code == "not-applicable":
                    self._tolerate(pull, top, error)
                    continue
                # the failure goes up to the first level that can do without
                while doing:
                    stack.pop()
                    failed = doing.pop()
                    if failed.tolerant:
                        self._tolerate(failed, stack[-1][0], error)
                        break
                else:
                    raise
                continue
            if new:
                stack.append((found, self._pulls(found)))
                doing.append(pull)
        return entry

    def _tolerate(self, pull: Pull, by: Entry, error: Refused) -> None:
        if error.code not in ("no-such-unit", "masked", "not-applicable"):
            self.notes.append(f"cannot add the {pull.type} job of {pull.unit} for {by.unit}, which goes on without: {error}")

    def _one(self, pull: Pull, by: Entry | None, ignore_order: bool) -> tuple[Entry, bool]:
        unit = self.world.unit(pull.unit)
        if pull.type != "stop":
            check_loaded(unit, pull.unit)
        if not self.world.applicable(unit, pull.type):
            raise Refused("not-applicable", f"Job type {pull.type} is not applicable for unit {unit.name}.", 3)
        have = self.by_unit.setdefault(unit.name, [])
        entry = next((e for e in have if e.type == pull.type), None)
        new = entry is None
        if entry is None:
            entry = Entry(unit.name, pull.type)
            have.insert(0, entry)
        entry.ignore_order = entry.ignore_order or ignore_order
        if by is not None:
            Link(by, entry, pull.matters, pull.conflicts)
        return entry, new

    def _pulls(self, entry: Entry) -> Iterator[Pull]:
        related, name = self.graph.related, entry.unit
        if entry.type in ("start", "restart"):
            for other in related(name, "pull-in-start"):
                yield Pull(other, "start", True)
            for other in related(name, "pull-in-start-ignored"):
                yield Pull(other, "start", False, tolerant=True)
            for other in related(name, "Requisite"):
                yield Pull(other, "verify-active", True)
            for other in related(name, "Conflicts"):
                yield Pull(other, "stop", True, conflicts=True)
            for other in related(name, "ConflictedBy"):
                yield Pull(other, "stop", False, tolerant=True)
        if entry.type == "stop":
            for other in related(name, "propagate-stop"):
                yield Pull(other, "stop", True)
        elif entry.type == "restart" or (entry.type == "start" and self.mode == "restart-dependencies" and entry is self.anchor):
            for other in related(name, "propagate-restart"):
                if jobs.collapse("try-restart", self.active(other)):
                    yield Pull(other, "restart", True)
        elif entry.type == "reload":
            for other in related(name, "PropagatesReloadTo"):
                if jobs.collapse("try-reload", self.active(other)):
                    yield Pull(other, "reload", False, tolerant=True)

    def add_isolate_jobs(self) -> None:
        """Stop everything that the transaction does not name, but what has IgnoreOnIsolate=."""
        for name, unit in list(self.graph.units.items()):
            if unit.unit.ignore_on_isolate or name in self.by_unit or (self.active(name) in ("inactive", "failed") and self.world.job(name) is None):
                continue
            self._also_stop(name)

    def add_triggering_jobs(self) -> None:
        """Stop what could trigger the anchor again."""
        for name in self.graph.related(self.anchor.unit, "TriggeredBy"):
            if name not in self.by_unit and (self.active(name) not in ("inactive", "failed") or self.world.job(name) is not None):
                self._also_stop(name)

    def _also_stop(self, name: str) -> None:
        try:
            self.add(name, "stop", self.anchor)
        except Refused as error:
            self.notes.append(f"cannot add the stop job of {name}: {error}")

    # -- taking out

    def delete(self, entry: Entry, dependants: bool) -> None:
        """Take a job out; with `dependants` also every job that cannot do without it."""
        todo = [entry]
        while todo:
            gone = todo.pop()
            of_unit = self.by_unit.get(gone.unit, [])
            if gone in of_unit:
                of_unit.remove(gone)
                if not of_unit:
                    del self.by_unit[gone.unit]
            for link in gone.pulls:
                del link.object.pulled_by[link]
            gone.pulls.clear()
            for link in gone.pulled_by:
                del link.subject.pulls[link]
                if link.matters and dependants:
                    todo.append(link.subject)
            gone.pulled_by.clear()

    def every(self) -> list[Entry]:
        return [e for entries in self.by_unit.values() for e in entries]

    # -- the steps

    def activate(self) -> None:
        """Make the transaction one that can be applied. Raises `Refused`."""
        self.find_what_matters()
        if self.mode == "fail":
            self.minimize_impact()
        self.drop_redundant()
        while True:
            if self.mode != "isolate":
                self.collect_garbage()
            try:
                self.verify_order()
                break
            except Again:
                continue
        several = any(len(entries) > 1 for entries in self.by_unit.values())
        while True:
            try:
                self.merge_jobs()
                if several:
                    self.verify_order()  # it looked at one job of each unit, not at what became of them
                break
            except Again:
                if self.mode != "isolate":
                    self.collect_garbage()
        self.drop_redundant()
        self.check_destructive()

    def find_what_matters(self) -> None:
        """Mark the jobs that the anchor cannot do without."""
        todo = [self.anchor]
        while todo:
            entry = todo.pop()
            if not entry.matters:
                entry.matters = True
                todo += [link.object for link in entry.pulls if link.matters]

    def minimize_impact(self) -> None:
        """Mode fail: what does not matter neither stops a unit that is up nor changes a job that is queued."""
        for entry in self.every():
            if entry.matters or entry not in self.by_unit.get(entry.unit, ()):
                continue
            job = self.world.job(entry.unit)
            stops = entry.type == "stop" and self.active(entry.unit) in jobs.UP_STATES
            if stops or (job is not None and jobs.conflicting(entry.type, job.type)):
                self.delete(entry, True)

    def drop_redundant(self) -> None:
        """Take out the jobs of every unit none of whose jobs would change anything."""
        for name, entries in list(self.by_unit.items()):
            job, active = self.world.job(name), self.active(name)
            if any(e is self.anchor or not jobs.redundant(e.type, active) or (job is not None and jobs.conflicting(e.type, job.type)) for e in entries):
                continue
            for entry in list(entries):
                self.delete(entry, False)

    def collect_garbage(self) -> None:
        """Take out what nothing pulls in any more."""
        todo = self.every()
        while todo:
            entry = todo.pop()
            if entry is self.anchor or entry.pulled_by or entry not in self.by_unit.get(entry.unit, ()):
                continue
            objects = [link.object for link in entry.pulls]
            self.delete(entry, True)
            todo += objects

    def verify_order(self) -> None:
        """Find an ordering cycle, of the jobs as they are and with restarts in their second half, a start that may wait for others.

        Drop a job of it that the anchor can do without and raise `Again`; raise `Refused` if there is none.
        """
        self._verify_order(False)
        if any(entry.type == "restart" for entries in self.by_unit.values() for entry in entries):
            self._verify_order(True)

    def _verify_order(self, begun_again: bool) -> None:
        done: set[str] = set()
        for root in list(self.by_unit):
            if root in done or self._queued_already(root):  # a new cycle has a new job in it
                continue
            path: dict[str, None] = {}
            stack: list[tuple[str, Iterator[str]]] = [(root, self._successors(root, begun_again))]
            path[root] = None
            while stack:
                name, following = stack[-1]
                other = next(following, None)
                if other is None:
                    stack.pop()
                    del path[name]
                    done.add(name)
                elif other in path:
                    members = list(path)
                    self._break_cycle(members[members.index(other) :])
                elif other not in done:
                    path[other] = None
                    stack.append((other, self._successors(other, begun_again)))

    def _job_of(self, name: str) -> tuple[str, bool] | None:
        """(type, ignores order) of the unit's job in the transaction, or of the one that is installed."""
        entries = self.by_unit.get(name)
        if entries:
            return entries[0].type, entries[0].ignore_order
        job = self.world.job(name)
        return (job.type, job.ignore_order) if job is not None else None

    def _queued_already(self, name: str) -> bool:
        """Is the unit's job of this transaction one that is installed as it is?"""
        job = self.world.job(name)
        return job is not None and self._job_of(name) == (job.type, job.ignore_order)

    def _successors(self, name: str, begun_again: bool) -> Iterator[str]:
        """Units whose job has to wait for the one of `name`."""
        mine = self._job_of(name)
        if mine is None or mine[1]:
            return
        for relation in ("Before", "After"):
            for other in self.graph.related(name, relation):
                theirs = self._job_of(other)
                if theirs is None or theirs[1]:
                    continue
                a, b = mine[0], theirs[0]
                if begun_again:
                    a, b = ("start" if kind == "restart" else kind for kind in (a, b))
                first = jobs.comes_first(a, b) if relation == "Before" else not jobs.comes_first(b, a)
                if first:
                    yield other

    def _break_cycle(self, cycle: list[str]) -> None:
        way = " -> ".join(f"{name}/{(self._job_of(name) or ('',))[0]}" for name in [*cycle, cycle[0]])
        for name in reversed(cycle):
            entries = self.by_unit.get(name)
            if entries and not any(entry.matters for entry in entries):
                self.notes.append(f"ordering cycle {way}: job {name}/{entries[0].type} deleted to break it")
                while entries:
                    self.delete(entries[0], True)
                raise Again
        raise Refused("cycle", f"Transaction order is cyclic: {way}")

    def merge_jobs(self) -> None:
        """One job for every unit. Drops one of a contradicting pair if the anchor can do without it and raises `Again`; else raises `Refused`."""
        several = [(n, e) for n, e in self.by_unit.items() if len(e) > 1]
        for name, entries in several:
            kind = entries[0].type
            for other in entries[1:]:
                merged = jobs.merge(kind, other.type)
                if merged is None:
                    self._drop_one(name, entries, kind, other.type)
                    raise Again
                kind = jobs.collapse(merged, self.active(name))
        for name, entries in several:
            keep = self.anchor if self.anchor in entries else entries[0]
            kind = entries[0].type
            for other in entries[1:]:
                kind = jobs.collapse(jobs.merge(kind, other.type) or kind, self.active(name))
            keep.type = kind
            for other in list(entries):
                if other is keep:
                    continue
                keep.ignore_order |= other.ignore_order
                keep.matters |= other.matters
                for link in list(other.pulls):
                    link.subject = keep
                    keep.pulls[link] = None
                for link in list(other.pulled_by):
                    link.object = keep
                    keep.pulled_by[link] = None
                other.pulls.clear()
                other.pulled_by.clear()
                entries.remove(other)

    def _drop_one(self, name: str, entries: list[Entry], a: str, b: str) -> None:
        """Of two jobs of one unit that contradict, take the one out that matters less; of two that do not matter the stop, unless it is by Conflicts=."""
        for at, j in enumerate(entries):
            for k in entries[at + 1 :]:
                if not jobs.conflicting(j.type, k.type):
                    continue
                if j.matters and k.matters:
                    break
                if j.matters or k.matters:
                    victim = k if j.matters else j
                elif j.type == "stop" and any(link.conflicts for link in j.pulled_by):
                    victim = k
                elif k.type == "stop" and any(link.conflicts for link in k.pulled_by):
                    victim = j
                else:
                    victim = k if k.type == "stop" and j.type != "stop" else j
                self.notes.append(f"{name}: job {victim.type} deleted, because it contradicts another of the same transaction")
                self.delete(victim, True)
                return
        raise Refused(
            "conflict",
            f"Transaction contains conflicting jobs '{a}' and '{b}' for {name}. Probably contradicting requirement dependencies configured.",
        )

    def check_destructive(self) -> None:
        """Raise `Refused` (exit code 4) if a job would be replaced that must not be."""
        for name, entries in self.by_unit.items():
            job, entry = self.world.job(name), entries[0]
            if job is not None and (self.mode == "fail" or job.irreversible) and jobs.conflicting(job.type, entry.type):
                text = f"Transaction for {self.anchor.unit}/{self.anchor.type} is destructive"
                raise Refused("destructive", f"{text} ({name} has '{job.type}' job queued, but '{entry.type}' is included in transaction).", 4)


def plan(world: World, name: str, type: str, mode: str = "replace") -> Transaction:
    """The transaction of a job of `type` on `name`, ready to be applied. Raises `Refused`; nothing is changed in any case.

    `type` is start, stop, restart, reload or verify-active (`jobs.collapse` the others first).
    """
    if mode in ("isolate", "restart-dependencies") and type != "start":
        raise Refused("bad-argument", f"Job mode {mode} is only valid for start.")
    if mode == "triggering" and type != "stop":
        raise Refused("bad-argument", "--job-mode=triggering is only valid for stop.")
    if mode == "isolate" and not world.unit(name).unit.allow_isolate:
        raise Refused("refused", "Operation refused, unit may not be isolated.", 4)
    transaction = Transaction(world, mode)
    transaction.add(name, type, None, requirements=mode not in ("ignore-dependencies", "ignore-requirements"), ignore_order=mode == "ignore-dependencies")
    if mode == "isolate":
        transaction.add_isolate_jobs()
    if mode == "triggering":
        transaction.add_triggering_jobs()
    transaction.activate()
    return transaction
