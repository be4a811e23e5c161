"""The real platform: turns effects into spawn requests, signals, timers and clean-up, and the machine's answers into events."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from unitd.manager import conditions, credentials, inotify, pidfile, procinfo, room, spawnfiles, spawnspec, users
from unitd.manager.machines import commands
from unitd.manager.passing import Passed, Passing, data_file
from unitd.manager.places import Places
from unitd.manager.states import (
    ArmTimer,
    Cleanup,
    Deadline,
    Effect,
    ExecDone,
    Exit,
    Exited,
    PidFile,
    ReadPidFile,
    Record,
    Signal,
    Spawn,
    Spawned,
    exit_status,
)
from unitd.manager.transitions import DOWN
from unitd.units.model import Unit

if TYPE_CHECKING:
    from unitd.manager.controllers import Controllers
    from unitd.manager.engine import Engine
    from unitd.manager.link import WardenLink
    from unitd.manager.output import Output
    from unitd.manager.processes import Processes
    from unitd.manager.spec import SpawnSpec
    from unitd.manager.store import StateStore
    from unitd.units.specifiers import HostFacts

log = logging.getLogger("unitd")


class Executor:
    """Implements `platform.Platform` on asyncio, the warden, cgroups and /proc."""

    engine: Engine
    act: Callable[[str, str, int], None]

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        link: WardenLink,
        processes: Processes,
        output: Output,
        host: HostFacts,
        notify_path: str,
        publish: Callable[[str, dict[str, Any]], None],
        turn: Callable[[], None],
        controllers: Controllers,
    ) -> None:
        """`publish` sends an event to subscribers; `turn` runs once at the end of a loop turn in which something happened."""
        self.loop, self.link, self.processes, self.output, self.host = loop, link, processes, output, host
        self.notify_path, self._publish, self._turn = notify_path, publish, turn
        self.controllers, self.places = controllers, Places(self, controllers)
        self._turn_pending = False
        self._timers: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self._spawns: list[tuple[Any, list[int]]] = []
        self._close_after: list[int] = []
        self._idle: list[int] = []  # write ends of pipes that Type=idle services wait on
        self._pid_file_watch: dict[str, Callable[[], None]] = {}
        self._environ = dict(os.environ)
        self.given: dict[str, str] = {}  # by set-environment
        self.note: Callable[[str, str], None] = lambda key, value: None  # keeps a word over the manager's death
        self._made_credentials: dict[str, str] = {}  # unit -> invocation
        #: Effects of one unit type only: class of the effect -> who carries it out. Filled by the parts that do.
        self.performers: dict[type[Any], Callable[[Unit, Record, Any], None]] = {}
        #: Parts of the manager that have the last word on what is spawned: (unit, role, spec, its descriptors).
        self.amenders: list[Callable[[Unit, str, SpawnSpec, list[int]], None]] = []
        #: Parts of the manager that hear what subscribers are told.
        self.observers: list[Callable[[str, dict[str, Any]], None]] = []
        self.passing: Passing | None = None  # who knows what descriptors a command gets
        self.cleaners: list[Callable[[Unit, Record, bool], None]] = []  # told of a unit that is down, and whether it comes back at once

    def remember(self, store: StateStore) -> None:
        """Variables for all services outlive the manager in `store`."""
        self.note, self.given = store.note, json.loads(store.recall("environment") or "{}")

    # -- clock and talk

    def now(self) -> float:
        return time.monotonic()

    def realtime(self) -> float:
        return time.time()

    def jitter(self) -> float:
        return random.random()  # noqa: S311 - spreads deadlines, hides nothing

    def new_invocation(self) -> str:
        return uuid.uuid4().hex

    def publish(self, topic: str, data: dict[str, Any]) -> None:
        self._publish(topic, data)
        for observer in self.observers:
            observer(topic, data)

    def log(self, level: str, message: str) -> None:
        log.log(getattr(logging, level.upper()), message)

    def later(self) -> None:
        if not self._turn_pending:
            self._turn_pending = True
            self.loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._turn_pending = False
        if self._idle and not self.engine.jobs:
            for fd in self._idle:  # Type=idle services go on now
                os.close(fd)
            self._idle.clear()
        self._turn()

    def check(self, unit: Unit) -> tuple[bool, bool]:
        return conditions.hold(unit.unit.conditions), conditions.hold(unit.unit.asserts)

    def perform(self, unit: Unit, record: Record, effect: Effect) -> None:
        self.performers[type(effect)](unit, record, effect)

    # -- timers

    def arm(self, name: str, effect: ArmTimer) -> None:
        self.disarm(name, effect.name)
        key = (name, effect.name)
        self._timers[key] = self.loop.call_at(effect.at, self._fire, key, effect.generation)

    def _fire(self, key: tuple[str, str], generation: int) -> None:
        self._timers.pop(key, None)
        self.engine.dispatch(key[0], Deadline(key[1], generation))

    def disarm(self, name: str, timer: str) -> None:
        handle = self._timers.pop((name, timer), None)
        if handle is not None:
            handle.cancel()

    # -- processes

    def spawn(self, unit: Unit, record: Record, effect: Spawn) -> None:
        command = commands(unit, effect.role)[effect.index]
        self.processes.begin(unit.name, effect.token)
        try:
            room.check(self.processes.coming(), effect.role)
            context, fds = self._context(unit, record, effect)
            spec, problems = spawnspec.build(unit, command, effect.role, context)
            self._pipes(unit, effect, spec, fds)
        except users.UserError as error:
            self.log("error", f"{unit.name}: {error}")
            self._refuse(unit.name, effect.token, error.exit_code, "USER" if error.exit_code == 217 else "GROUP")
            return
        except credentials.CredentialError as error:
            self.log("error", f"{unit.name}: {error}")
            self._refuse(unit.name, effect.token, 243, "CREDENTIALS")
            return
        except OSError as error:
            reason = (f"{error.filename}: " if error.filename else "") + (error.strerror or str(error))
            self.log("error", f"{unit.name}: cannot prepare {effect.role}=, because {reason}")
            self.processes.spawned(effect.token, 0, -1)
            self.loop.call_soon(self.engine.dispatch, unit.name, Spawned(effect.token, 0, error.errno or 5, reason))
            return
        for problem in problems:
            self.log("warning", f"{unit.name}: {problem}")
        for amend in self.amenders:
            amend(unit, effect.role, spec, fds)
        self._spawns.append((spec, fds))
        self.later()

    def _pipes(self, unit: Unit, effect: Spawn, spec: SpawnSpec, fds: list[int]) -> None:
        """Those that tell when exec is done, and when a Type=idle service may go on. Raises OSError."""
        if effect.wants_exec_done:
            reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            spec["execfd"] = len(fds)
            fds.append(writer)
            self._close_after.append(writer)
            self.loop.add_reader(reader, self._exec_pipe, reader, unit.name, effect.token)
        if unit.service.type == "idle" and effect.role == "ExecStart" and len(self.engine.jobs) > 1:
            reader, writer = os.pipe2(os.O_CLOEXEC)
            spec["idle"] = len(fds)
            fds.append(reader)
            self._close_after.append(reader)
            self._idle.append(writer)
        room.check_passed(len(set(fds)))

    def flush(self) -> None:
        """Send the spawn requests of this turn in one message."""
        if self._spawns:
            spawns, self._spawns = self._spawns, []
            self.link.spawn(spawns)
        while self._close_after:
            os.close(self._close_after.pop())

    def _refuse(self, name: str, token: str, code: int, step: str) -> None:
        """A child that would fail at once: report the failure it would have had."""
        self.processes.spawned(token, 0, -1)
        self.loop.call_soon(self.engine.dispatch, name, Spawned(token, -1))
        self.loop.call_soon(self.engine.dispatch, name, Exited(token, -1, Exit(1, code, step)))

    def _exec_pipe(self, reader: int, name: str, token: str) -> None:
        """End of file: exec is done, or the child is gone. A process past exit_mm has no exe link any more."""
        self.loop.remove_reader(reader)
        os.close(reader)
        pid = self.processes.pid_of(token)
        try:
            os.readlink(f"/proc/{pid}/exe")
        except OSError:
            return
        self.engine.dispatch(name, ExecDone(token))

    def _context(self, unit: Unit, record: Record, effect: Spawn) -> tuple[spawnspec.SpawnContext, list[int]]:
        fds: list[int] = []
        # The instances of an Accept=yes socket are many and short: they share one log, their template's.
        logged = msgspec.structs.replace(unit, name=f"{unit.name.partition('@')[0]}@.service") if record.socket else unit
        ends = self.output.descriptors(logged, record.invocation)
        fds += [fd for fd in (ends.out, ends.err) if fd is not None]
        self._close_after += ends.temporary
        passed = self.passing.prepare(unit, effect) if self.passing else Passed()
        listen = [(name, len(fds) + i) for i, (name, _) in enumerate(passed.listen)]
        # Copies: the socket may be closed before the request is out.
        copies = [os.dup(fd) for fd in (*(fd for _, fd in passed.listen), *(() if passed.standard is None else (passed.standard,)))]
        fds += copies
        self._close_after += [*copies, *passed.close]
        env_files = spawnfiles.variables(unit.exec)
        s = unit.service
        watchdog = record.watchdog_usec if record.watchdog_usec >= 0 else int(s.watchdog * 1e6) if s.watchdog != float("inf") else 0
        stopping = unit.type == "service" and effect.role in ("ExecStop", "ExecStopPost")
        stdin = None
        if unit.exec.standard_input == "data" and unit.exec.standard_input_data:
            stdin = len(fds)
            fds.append(data_file(unit.exec.standard_input_data))
            self._close_after.append(fds[-1])
        user = users.resolve_user(unit.exec)
        monitor = self.engine.monitors.get(unit.name, {})
        if effect.role in ("ExecStartPre", "ExecStart"):
            monitor = {**monitor, **self.engine.monitored(unit)}
        access, main = record.notify_access or s.notify_access, effect.role == "ExecStart" and s.type != "forking"
        joins = self.places.make(unit)
        return (
            spawnspec.SpawnContext(
                token=effect.token,
                base_env=self._environ,
                given=self.given,
                invocation=record.invocation,
                notify_socket=self.notify_path if access in ("exec", "all") or (access == "main" and main) else "",
                watchdog_usec=watchdog if effect.role == "ExecStart" else 0,
                main_pid=record.main_pid,
                service_result=record.result if stopping else "",
                exit_code=record.main_exit_result if stopping else "",
                exit_status=exit_status(record) if stopping else "",
                monitor=monitor,
                user=user,
                stdin_fd=stdin,
                credentials=self._credentials(unit, user, stopping),
                env_files=env_files,
                host=self.host,
                cgroup=record.cgroup,
                join=joins,
                log_fd=0 if ends.out is not None else None,
                log_err_fd=None if ends.err is None else 0 if ends.out is None else 1,
                journal_stream=ends.journal_stream,
                listen=listen,
                nonblock=passed.nonblock,
                socket_fd=None if passed.standard is None else len(fds) - 1,
                remote=record.remote,
            ),
            fds,
        )

    def _credentials(self, unit: Unit, user: users.UserFacts, stopping: bool) -> str:
        """The unit's directory of credentials, made if need be; empty when it has none, or when it stops without any having been made."""
        directory = os.path.join(self.host.runtime_dir, "credentials", unit.name)
        if not unit.exec.set_credentials and not unit.exec.load_credentials:
            return ""
        if self._made_credentials.get(unit.name) != self.engine.record(unit.name).invocation:
            if stopping:
                return ""
            credentials.prepare(unit.exec, directory, self.host.uid if user.uid is None else user.uid, self.host.gid)
            self._made_credentials[unit.name] = self.engine.record(unit.name).invocation
        return directory

    # -- signals

    def signal(self, unit: Unit, record: Record, effect: Signal) -> None:
        pids: list[int] = []
        if effect.whom in ("main", "main+control", "all") and record.main_pid > 1:
            pids.append(record.main_pid)
        if effect.whom in ("control", "main+control", "all") and record.control_pid > 1:
            pids.append(record.control_pid)
        if effect.whom == "all":
            if effect.signal == signal.SIGKILL and self.processes.kill_group(unit.name):
                return
            pids += [p for p in self.processes.members(unit.name, record) if p not in pids]
        for pid in pids:
            self.processes.send(pid, effect.signal)
            if effect.also_hup:
                self.processes.send(pid, signal.SIGHUP)
            if effect.wake and effect.signal not in (signal.SIGKILL, signal.SIGCONT):
                self.processes.send(pid, signal.SIGCONT)

    def watch_empty(self, unit: Unit, record: Record) -> None:
        self.processes.watch_empty(unit.name)

    # -- files

    def read_pid_file(self, unit: Unit, record: Record, effect: ReadPidFile) -> None:
        self.loop.call_soon(self._read_pid_file, unit, effect.guess)

    def _read_pid_file(self, unit: Unit, guess: bool) -> None:
        record = self.engine.record(unit.name)
        if record.sub in DOWN:
            return
        members = self.processes.members(unit.name, record)
        if guess:
            look = unit.service.guess_main_pid and record.sub == "start"
            pid, reason = procinfo.main_pid_guess(members, self.processes.warden_pid) if look else 0, ""
        else:
            pid, reason = pidfile.read_pid(unit.service.pid_file)
            if pid and (pid == 1 or not os.path.exists(f"/proc/{pid}") or (pid not in members and not self.processes.ours(pid))):
                pid, reason = 0, f"PID file {unit.service.pid_file} names {pid}, which is no process of this unit"
            if not pid and record.sub in ("start", "start-post"):
                self._watch_pid_file(unit)
            elif unit.name in self._pid_file_watch:
                self._pid_file_watch.pop(unit.name)()
        if pid:
            self.processes.adopt(unit.name, pid)
        self.engine.dispatch(unit.name, PidFile(pid, reason, empty=not members))

    def _watch_pid_file(self, unit: Unit) -> None:
        """Read again when something changes in the PID file's directory."""
        if unit.name not in self._pid_file_watch:
            stop = inotify.watch(self.loop, os.path.dirname(unit.service.pid_file), lambda: self._directory_changed(unit))
            self._pid_file_watch[unit.name] = stop

    def _directory_changed(self, unit: Unit) -> None:
        """Others may be busy in there: what has been said once is not said again for each of their files."""
        if pidfile.read_pid(unit.service.pid_file)[0]:
            self._read_pid_file(unit, False)

    def cleanup(self, unit: Unit, record: Record, effect: Cleanup) -> None:
        if unit.name in self._pid_file_watch:
            self._pid_file_watch.pop(unit.name)()
        preserve = unit.exec.runtime_directory_preserve
        restarting = effect.restarting or record.stop_requested == "restart"
        if preserve == "no" or (preserve == "restart" and not restarting):
            try:
                spawnfiles.remove_runtime(unit, self.host.runtime_dir)
            except OSError as error:
                self.log("warning", f"{unit.name}: cannot remove {error.filename}: {error.strerror}")
        if unit.service.pid_file:
            pidfile.remove(unit.service.pid_file)
        if unit.exec.set_credentials or unit.exec.load_credentials:
            self._made_credentials.pop(unit.name, None)
            credentials.remove(os.path.join(self.host.runtime_dir, "credentials", unit.name))
        for cleaner in self.cleaners:
            cleaner(unit, record, restarting)
        self.places.remove(unit, record)
        self.processes.unit_down(unit.name)
