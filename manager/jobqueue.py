"""The jobs that are queued: how they get in, which may run, how they end and what that means for others. No system calls.

The rules are those of systemd's job.c.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator

from unitd.manager import events, jobs, transaction
from unitd.manager.entries import check_loaded
from unitd.manager.jobs import Job, Refused
from unitd.manager.machines import MACHINES, start_has_to_wait
from unitd.manager.platform import Platform
from unitd.manager.states import ArmTimer, Reload, Start, Stop
from unitd.manager.transaction import Transaction
from unitd.manager.unittable import UnitSource, UnitTable
from unitd.units.model import INFINITY, Unit

Waiter = Callable[[Job, str], None]


#: How many jobs begin in one turn of the loop.
JOBS_OF_A_TURN = 64


class JobQueue(UnitTable):
    """Installed jobs, at most one for a unit. Waiters are told how a job ended."""

    def __init__(self, source: UnitSource, platform: Platform) -> None:
        super().__init__(source, platform)
        self.waiters: dict[int, list[Waiter]] = defaultdict(list)
        self.jobs_changed = False
        self._next_job = 1
        self._queue: dict[str, None] = {}  # units whose job may have become runnable
        self._blocking: dict[str, set[str]] = defaultdict(set)  # unit -> units whose job waits for its job

    # -- what the rest of the engine gives

    def dispatch(self, name: str, event: Start | Stop | Reload) -> None:
        """Hand an event to the unit's machine."""
        raise NotImplementedError

    def settle(self) -> bool:
        """What follows from changed states, once the queue is empty; True if there was anything."""
        raise NotImplementedError

    def job_failed(self, job: Job, result: str) -> None:
        """A job ended with "timeout" or "dependency"."""
        raise NotImplementedError

    # -- requests

    def submit(self, wanted: Iterable[str], verb: str, mode: str = "replace", automatic: bool = False) -> list[tuple[str, Job | None]]:
        """Queue the job that `verb` means, and all that it pulls in, for each of the units: [(unit, job)], None where nothing is to be done.

        verb: start stop restart try-restart reload reload-or-restart try-reload-or-restart. Raises `Refused`; for that unit nothing happened then.
        """
        made: list[tuple[str, Job | None]] = []
        for name in wanted:
            unit = self.unit(name)
            planned = self.plan(unit, verb, mode)
            job = None
            if planned is not None:
                job = self.apply(planned)
                job.automatic = job.automatic or automatic
            made.append((unit.name, job))
        self.platform.later()
        return made

    def plan(self, unit: Unit, verb: str, mode: str = "replace") -> Transaction | None:
        """The transaction that a verb means now; None where nothing is to be done. Changes nothing. Raises `Refused`."""
        active = self.active(unit.name)
        kind = verb
        if verb == "reload-or-restart":
            kind = "reload-or-start" if self.can_reload(unit) else "restart"
        elif verb == "try-reload-or-restart":
            kind = "try-reload" if self.can_reload(unit) else "try-restart"
        elif verb == "stop" and unit.load_state in ("not-found", "error", "bad-setting") and active == "inactive":
            raise Refused("no-such-unit", f"Unit {unit.name} not loaded.", 5)
        kind = jobs.collapse(kind, active)
        if not kind:
            if unit.load_state != "masked":
                check_loaded(unit, unit.name)
            return None
        return transaction.plan(self, unit.name, kind, mode)

    def apply(self, planned: Transaction) -> Job:
        """Queue the jobs of a transaction; the anchor's."""
        entries = planned.entries
        for note in planned.notes:
            self.platform.log("info", note)
        if planned.mode in ("isolate", "flush"):
            for job in list(self.jobs.values()):
                if job.unit not in entries:
                    self.finish(job, "canceled", recursive=False)
        irreversible = planned.mode == "replace-irreversibly"
        made = {name: self.install(name, entry.type, irreversible, entry.ignore_order) for name, entry in entries.items()}
        return made[planned.anchor.unit]

    def install(self, name: str, type: str, irreversible: bool = False, ignore_order: bool = False) -> Job:
        """Queue a job: it joins the one that the unit has, or takes its place if the two contradict."""
        have = self.jobs.get(name)
        if have is not None and jobs.conflicting(have.type, type):
            self.finish(have, "canceled", recursive=False)
            have = None
        if have is not None:
            merged = jobs.collapse(jobs.merge(have.type, type) or type, self.active(name))
            # A reload that runs may have read the old configuration already: another one has to follow.
            again = have.running and (type == "reload" or not jobs.superset(have.type, type))
            have.irreversible, have.ignore_order = have.irreversible or irreversible, have.ignore_order or ignore_order
            if again or merged != have.type:
                have.type = merged
                have.running = have.running and not again
                self._unblock(name)
            self._look_at_job(name)
            return have
        job = Job(self._next_job, name, type, irreversible=irreversible, ignore_order=ignore_order, begun=self.platform.now())
        self._next_job += 1
        self.jobs[name] = job
        self.jobs_changed = True
        self._look_at_job(name)
        self._arm(job, self.unit(name).unit.job_timeout)
        self.platform.publish(*events.job(job, "waiting", self.platform.realtime()))
        return job

    def wait(self, job: Job, waiter: Waiter) -> None:
        """Call `waiter(job, result)` when the job is over."""
        self.waiters[job.id].append(waiter)

    def cancel(self, job: Job) -> None:
        """Drop a job; what depends on it fails."""
        self.finish(job, "canceled")

    # -- the run queue

    def run_queue(self) -> None:
        """Begin every job whose turn has come, until nothing more follows; then forget what is no longer needed.

        Of many the rest is for the next turn of the loop: the warden makes the processes of these meanwhile.
        """
        begun = 0
        while True:
            while self._queue:
                if begun >= JOBS_OF_A_TURN:
                    self.platform.later()
                    return
                name = next(iter(self._queue))
                del self._queue[name]
                job = self.jobs.get(name)
                if job is None or job.running:
                    continue
                job.blocked_by = next(self.blockers(job), "")
                if job.blocked_by:
                    self._blocking[job.blocked_by].add(name)
                else:
                    begun += 1
                    self.begin(job)
            if not self.settle():
                break
        self.collect()

    def _look_at_job(self, name: str) -> None:
        self._queue[name] = None
        self.platform.later()

    def _unblock(self, name: str) -> None:
        """The job of `name` ended or became another: look again at those that wait for it."""
        for waiting in sorted(self._blocking.pop(name, ())):
            self._look_at_job(waiting)

    def blockers(self, job: Job) -> Iterator[str]:
        """Units whose job has to end before this one may run."""
        if job.ignore_order:
            return
        for other in self.graph.related(job.unit, "After"):
            theirs = self.jobs.get(other)
            if theirs is not None and not theirs.ignore_order and jobs.comes_first(theirs.type, job.type):
                yield other
        for other in self.graph.related(job.unit, "Before"):
            theirs = self.jobs.get(other)
            if theirs is not None and not theirs.ignore_order and not jobs.comes_first(job.type, theirs.type):
                yield other

    def begin(self, job: Job) -> None:
        """Run one job. It ends by what its unit's machine says, or here if nothing is to be done."""
        unit = self.unit(job.unit)
        active = self.active(unit.name)
        job.running = True
        self._arm(job, unit.unit.job_running_timeout)
        if job.type == "start":
            self.begin_start(job, unit)
        elif job.type in ("stop", "restart"):
            record = self.record(unit.name)
            if active in ("inactive", "failed"):
                self.finish(job, "done")
            elif job.type == "restart" and job.automatic and record.sub == "auto-restart":
                job.type, job.running = "start", False
                self._unblock(unit.name)
                self._look_at_job(unit.name)
            elif unit.type in MACHINES:
                self.dispatch(unit.name, Stop(restart=job.type == "restart"))
        elif job.type == "verify-active":
            if active == "activating":
                job.running = False
            else:
                self.finish(job, "done" if active in ("active", "reloading") else "skipped")
        elif active == "reloading":
            job.running = False  # a reload waits for its turn
        elif active == "active" and unit.type == "service":
            self.dispatch(unit.name, Reload())
        elif active == "active":
            self.finish(job, "done")  # what it passes on has jobs of its own
        else:
            self.finish(job, "invalid")

    def begin_start(self, job: Job, unit: Unit) -> None:
        """Run a start: what is up is done, what is on its way down has to get there first."""
        record = self.record(unit.name)
        if record.active in ("active", "reloading"):
            self.finish(job, "done")
        elif unit.load_state != "loaded":
            self.finish(job, "failed")
        elif start_has_to_wait(record) and not (job.automatic and record.sub == "auto-restart"):
            job.running = False
        elif record.active == "activating" and record.sub != "auto-restart":
            return  # the job ends with what is under way
        else:
            condition, assertion = self.platform.check(unit)
            if condition and assertion and unit.type not in MACHINES:
                self.finish(job, "unsupported")
            elif condition and assertion and self._bound_to_missing(unit.name):
                self.finish(job, "dependency")
            elif unit.type not in MACHINES:
                self.finish(job, "assert" if condition else "done")
            else:
                self.dispatch(unit.name, Start(self.platform.new_invocation(), job.automatic, condition, assertion))

    def _bound_to_missing(self, name: str) -> bool:
        """BindsTo= with After= on a unit that is not up."""
        after = self.graph.related(name, "After")
        return any(n in after and self.active(n) not in ("active", "reloading") for n in self.graph.related(name, "BindsTo"))

    # -- the end

    def finish(self, job: Job, result: str, recursive: bool = True) -> None:
        """The job is over: tell waiters, fail what depended on it. A restart whose stop is done becomes a start."""
        todo = deque([(job, result)])
        while todo:
            job, result = todo.popleft()
            if self.jobs.get(job.unit) is not job:
                continue
            self._unblock(job.unit)
            if result == "done" and job.type == "restart":
                job.type, job.running = "start", False
                self._look_at_job(job.unit)
                continue
            del self.jobs[job.unit]
            self.jobs_changed = True
            if job.deadline is not None:
                self.platform.disarm(job.unit, "job")
            self.platform.publish(*events.job(job, "finished", self.platform.realtime(), result))
            for waiter in self.waiters.pop(job.id, []):
                waiter(job, result)
            if recursive:
                todo += [(other, "dependency") for other in self._fails_with(job, result)]
            if result in ("timeout", "dependency"):
                self.job_failed(job, result)
            self.look_at(job.unit)
            for watcher in self.watchers:
                watcher(job.unit)

    def _fails_with(self, job: Job, result: str) -> list[Job]:
        """Jobs that fail because this one ended so."""
        relation = ""
        if result != "done":
            relation = {"start": "propagate-start-failure", "verify-active": "propagate-start-failure", "stop": "ConflictedBy"}.get(job.type, "")
        elif job.type in ("start", "reload") and self.active(job.unit) not in ("active", "reloading"):
            relation = "RequisiteOf"  # it is done, but not up: a oneshot, or a condition
        if not relation:
            return []
        found = [self.jobs.get(other) for other in self.graph.related(job.unit, relation)]
        return [j for j in found if j is not None and j.type in ("start", "verify-active")]

    def process(self, name: str, old: str, new: str) -> bool:
        """A unit went from one ActiveState to another: does that end its job? Returns True if no job asked for the change."""
        job = self.jobs.get(name)
        if job is None:
            return True
        unexpected = False
        if not job.running:
            self._look_at_job(name)
        down = new in ("inactive", "failed")
        if job.type in ("start", "verify-active"):
            if new in ("active", "reloading"):
                if not job.running:
                    self.finish(job, "done")
            elif job.running and new != "activating":
                unexpected = True
        elif job.type == "reload":
            unexpected = job.running and new not in ("active", "activating", "reloading")
            if unexpected and down:
                self.finish(job, "failed" if new == "failed" else "done")
        elif down:
            self.finish(job, "done")
        elif job.running and new != "deactivating" and not (old == "deactivating" and new == "activating"):
            unexpected = True
        return unexpected

    # -- timeouts

    def _arm(self, job: Job, seconds: float) -> None:
        """JobTimeoutSec= runs from when the job is queued, JobRunningTimeoutSec= from when it runs; the earlier one counts."""
        if seconds == INFINITY:
            return
        at = self.platform.now() + seconds
        if job.deadline is None or at < job.deadline:
            job.deadline, job.timer = at, job.timer + 1
            self.platform.arm(job.unit, ArmTimer("job", at, job.timer))

    def job_timeout(self, name: str, generation: int) -> None:
        """The timer of a unit's job went off; one that was replaced since does nothing."""
        job = self.jobs.get(name)
        if job is not None and job.deadline is not None and job.timer == generation:
            self.finish(job, "timeout")
