"""The manager's ear to the warden: exits and spawns as they come, and at the start what an earlier manager left behind."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

from msgspec.structs import replace

from unitd.manager import bag, consolelink, procinfo, rebuild, salvage, takeover
from unitd.manager.output import ENDING, STORES
from unitd.manager.spec import SpawnSpec
from unitd.manager.states import CLD_DUMPED, CLD_EXITED, CLD_KILLED, ArmTimer, ExecDone, Exit, Exited, ReadPidFile, Record, Spawn, Spawned
from unitd.manager.transitions import DOWN
from unitd.units import pools

if TYPE_CHECKING:
    from unitd.manager.app import App

log = logging.getLogger("unitd")
#: In the warden's store: where unitd itself is spoken to.
BUS, EVENTS, NOTIFY = "unitd:bus", "unitd:events", "unitd:notify"
LOGGER_ID = "unitd:logger"
UNKNOWN = "unknown, because it was nobody's child when it ended"


def exit_of(wait_status: int) -> Exit:
    """A wait(2) status as an `Exit`. One that nobody knows is a failure: what is to be restarted on failure is."""
    if wait_status == bag.UNKNOWN:
        return Exit(CLD_EXITED, 255, UNKNOWN)
    if os.WIFEXITED(wait_status):
        return Exit(CLD_EXITED, os.WEXITSTATUS(wait_status))
    return Exit(CLD_DUMPED if os.WCOREDUMP(wait_status) else CLD_KILLED, os.WTERMSIG(wait_status))


def _done_with(pidfd: int, number: int = 0) -> None:
    """Close a pidfd, with a signal for the process if it is still there."""
    if pidfd >= 0:
        try:
            if number:
                signal.pidfd_send_signal(pidfd, number)
        except ProcessLookupError:
            pass  # it has ended by itself
        finally:
            os.close(pidfd)


class Adoption:
    """Implements `link.LinkHandler`."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.ready: asyncio.Future[None] = app.loop.create_future()
        self.continued = False
        self.seen: set[str] = set()
        self.inherited: set[str] = set()  # ids of processes that the manager before asked for, or meant to
        self.errors: dict[str, tuple[int, int, str]] = {}
        self.logger = (0, -1)  # pid, pidfd
        self.logger_born = 0.0
        self.no_logger_errno = 0
        self.orphans: dict[str, list[tuple[int, str]]] = {}  # unit -> (pid, token) of which there is no record
        self.same_warden = True

    def load(self) -> None:
        """Take the records of the earlier manager over, before the warden speaks."""
        app = self.app
        self.continued = app.store.continued
        records, problems = app.store.load()
        for problem in problems:
            log.error("%s", problem)
        for record in records:
            app.engine.records[record.name] = record
        for record in records:
            if record.scale >= 0 and pools.template_of(record.name):
                app.loader.scale(pools.template_of(record.name), record.scale)
        for record in records:
            app.engine.unit(record.name)
            for token in (record.main_token, record.control_token):
                if token:
                    self.inherited.add(token)
                    app.processes.begin(record.name, token)
            if record.main_pid and record.main_alien:
                app.processes.adopt(record.name, record.main_pid)

    # -- LinkHandler

    def kids(self, kids: list[tuple[int, str, int]]) -> None:
        for pid, token, pidfd in kids:
            self.seen.add(token)
            if token.startswith(LOGGER_ID):
                _done_with(pidfd, signal.SIGKILL)  # it served the manager that is gone
                continue
            if token.startswith(consolelink.CONSOLE_ID):
                self.app.output.console.seen()
                _done_with(pidfd)
                continue
            if token.startswith("pid:"):  # a main process that was not spawned as such; the warden looks after it
                self.app.processes.in_care(pid)
                _done_with(pidfd)
                continue
            unit = self.app.processes.spawned(token, pid, pidfd)
            if unit is None:
                unit = rebuild.unit_of(token)
                self.app.processes.begin(unit, token)
                self.app.processes.spawned(token, pid, -1)
            if unit not in self.app.engine.records:
                self.orphans.setdefault(unit, []).append((pid, token))
                continue
            record = self.app.engine.record(unit)
            if (token == record.main_token and not record.main_pid) or (token == record.control_token and not record.control_pid):
                self.app.engine.dispatch(unit, Spawned(token, pid))

    def spawned(self, spawned: list[tuple[str, int, int, int]]) -> None:
        for token, pid, error, pidfd in spawned:
            if token.startswith(LOGGER_ID):
                if self.logger[1] >= 0:
                    os.close(self.logger[1])
                self.logger = pid, pidfd
                if pid <= 0:
                    self.no_logger(error)
                elif self.no_logger_errno:
                    self.no_logger_errno = 0
                    log.info("the logger runs again")
                continue
            if token.startswith(consolelink.CONSOLE_ID):
                if pidfd >= 0:
                    os.close(pidfd)
                continue
            unit = self.app.processes.spawned(token, pid, pidfd)
            if self.app.systemd is not None and pid > 0:
                self.app.systemd.spawned(pid, pidfd)
            if unit is not None:
                self.app.engine.dispatch(unit, Spawned(token, pid, error, procinfo.why_no_process(error) if error else ""))

    def exited(self, exits: list[tuple[int, int, str, int]]) -> None:
        for seq, pid, token, status in exits:
            self.app.unacknowledged = max(self.app.unacknowledged, seq)
            self.seen.add(token)
            if self.app.systemd is not None:
                self.app.systemd.exited(pid)
            if token.startswith(LOGGER_ID):
                if pid == self.logger[0] and not self.app.done.done():
                    log.error("the logger ended (wait status %d); starting another, no output is lost", status)
                    # One that cannot even begin must not be started without pause: the bytes wait in their pipes.
                    broken = status != signal.SIGKILL and self.app.loop.time() - self.logger_born < 1
                    self.app.loop.call_later(1 if broken else 0, self.start_logger)
                continue
            if token.startswith(consolelink.CONSOLE_ID):
                self.app.output.console.exited()
                continue
            end = exit_of(status)
            code, error, step = self.errors.pop(token, (0, 0, ""))
            if step and end.code == CLD_EXITED and end.status == code:
                end = Exit(end.code, end.status, step, error, os.strerror(error) if error else "")
            unit, key = self.app.processes.exited(pid, token)
            if unit is None and token:
                unit = token.partition("|")[0]
            if unit is not None:
                if end.status == signal.SIGKILL and end.code == CLD_KILLED and self.out_of_memory(unit):
                    end = replace(end, oom=True)
                self.app.engine.dispatch(unit, Exited(key, pid, end))
        self.app.executor.later()

    def out_of_memory(self, name: str) -> bool:
        """Was it the kernel that killed in this unit, because memory ran out, and does OOMPolicy= make something of it?"""
        unit = self.app.engine.graph.units.get(name)
        if unit is None or unit.service.oom_policy == "continue":
            return False
        return self.app.controllers.new_oom_kill(unit, self.app.engine.record(name).cgroup)

    def child_error(self, id: str, code: int, errno: int, step: str) -> None:
        self.errors[id] = (code, errno, step)

    def stored(self, name: str, fds: list[int]) -> None:
        kind, _, unit = name.partition(":")
        if kind.removeprefix(ENDING) in STORES:
            self.app.output.restore(kind, unit, fds)
        elif name == consolelink.STORE:
            self.app.output.console.restore(fds)
        elif name in (BUS, EVENTS, NOTIFY):
            self.app.doors.restore(name, fds)
        elif kind == "socket":
            self.app.sockets.listeners.restore(unit, fds)
        elif kind == "connection":
            self.app.sockets.restore_connection(unit, fds)
        elif kind == "fdstore":
            self.app.fd_store.restore(unit, fds)
        elif name.startswith(salvage.GIVEN):
            self.app.sockets.listeners.give(name.removeprefix(salvage.GIVEN), fds)
        else:  # the lock, say: the link holds a copy
            for fd in fds:
                os.close(fd)

    def go(self) -> None:
        """The warden has told everything it knew."""
        self.start_logger()
        self.app.output.show_restored()
        engine = self.app.engine
        for unit, kids in self.orphans.items():
            self.rebuild(unit, kids)
        self.rebuild_sockets()
        self.app.sockets.resume()
        for record in list(engine.records.values()):
            self.resume(record)
        self.app.triggers.resume()
        for unit, kind in self.app.store.load_jobs() if self.continued else []:
            self.resume_job(unit, kind)
        if not self.ready.done():
            self.ready.set_result(None)

    def rebuild(self, name: str, kids: list[tuple[int, str]]) -> None:
        """A record for what runs though the memory of it is lost."""
        engine = self.app.engine
        unit = engine.unit(name)
        invocations = {pid: procinfo.environment(pid).get("INVOCATION_ID", "") for pid, _ in kids}
        engine.records[unit.name] = rebuild.record_for(unit, kids, invocations, self.app.executor.realtime())
        engine.changed.add(unit.name)
        log.warning("%s: its record is lost; by its processes (%s) it is %s", name, ", ".join(str(pid) for pid, _ in kids), engine.record(name).sub)

    def rebuild_sockets(self) -> None:
        """Sockets that are open though their unit is said to be down: nobody who connects shall be refused."""
        engine, sockets = self.app.engine, self.app.sockets
        for name in sockets.listeners.fds:
            if name in engine.records and engine.record(name).sub not in DOWN:
                continue
            unit = engine.unit(name)
            busy = not unit.socket.accept and any(engine.is_up(service) for service in sockets.services(unit))
            engine.records[unit.name] = rebuild.socket_record(unit.name, busy, self.app.executor.realtime())
            engine.changed.add(unit.name)
            log.warning("%s: its record is lost; its sockets are open, so it is %s", name, engine.record(name).sub)

    def resume(self, record: Record) -> None:
        """Timers go on with their remaining time; a process that was asked for but never made is asked for again."""
        engine = self.app.engine
        for name, (at, generation) in record.deadlines.items():
            self.app.executor.arm(record.name, ArmTimer(name, at, generation))
        if record.sub in DOWN:
            return
        unit = engine.unit(record.name)
        for token, pid in ((record.main_token, record.main_pid), (record.control_token, record.control_pid)):
            if not token or token.startswith("pid:") or token in self.seen or token not in self.inherited:
                continue  # what this manager has asked for, because of an exit that it was told of just now, is not asked for twice
            if pid == 0 and self.same_warden:
                # The warden forgets nothing before it is told to: it was never asked.
                self.app.executor.spawn(unit, record, Spawn(token, rebuild.role_of(token), record.command_index, False))
                continue
            log.warning("%s: the process %s is gone, how it ended is unknown", record.name, pid or token)
            engine.dispatch(record.name, Exited(token, pid, exit_of(bag.UNKNOWN)))
        record = engine.record(record.name)
        if record.sub == "start" and record.main_pid and unit.service.type == "exec":
            engine.dispatch(record.name, ExecDone(record.main_token))  # the pipe that told it went with the last manager
        elif record.sub == "start" and unit.service.type == "forking" and not record.main_token and not record.control_token:
            self.app.executor.read_pid_file(unit, record, ReadPidFile(guess=not unit.service.pid_file))
        if record.sub.endswith(("sigterm", "sigkill", "watchdog")) or (record.sub == "running" and not record.main_token):
            self.app.processes.watch_empty(record.name)

    def resume_job(self, unit: str, kind: str) -> None:
        """A job that was under way goes on."""
        from unitd.manager.jobs import Refused

        record = self.app.engine.record(unit)
        due = record.sub == "auto-restart" and "restart" not in record.deadlines  # its delay is over, it waited for its turn only
        try:
            self.app.engine.submit([unit], {"verify-active": "start"}.get(kind, kind), automatic=due)
        except Refused as error:
            log.error("the %s job of %s is given up: %s", kind, unit, error)

    def pong(self) -> None:
        if self.app.systemd is not None:
            self.app.systemd.pong()

    def lost(self) -> None:
        """The warden is gone. Under systemd that starts both anew; otherwise there is nobody but us."""
        if self.app.done.done():
            return
        self.app.turn()  # what we know has to be written down
        if takeover.SYSTEMD in self.app.environ or not self.ready.done():
            log.error("the warden is gone; leaving")
            os._exit(70)
        try:
            takeover.succeed(self.app.link, self.app.processes, self.logger, self.app.environ)
        except OSError as error:
            log.error("the warden is gone, and its place cannot be taken, because of %s; services run on, the next unitd here will find them", error)
            os._exit(70)

    # -- the logger

    def start_logger(self) -> None:
        """Ask the warden for a logger process and hand it every pipe."""
        import socket

        import unitd

        self.logger_born = self.app.loop.time()
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            self.no_logger(error.errno or 0)
            return

        package = os.path.dirname(os.path.dirname(os.path.abspath(unitd.__file__)))
        script = os.path.join(package, "unitd", "manager", "logger.py")
        spec: SpawnSpec = {
            "id": f"{LOGGER_ID}|{os.getpid()}|{theirs.fileno()}",
            "path": sys.executable,
            "argv": [sys.executable, "-I", "-S", script, "--package-dir", package],
            "env": ["UNITD_LOGGER_FD=3", "LISTEN_PID=", "PATH=/usr/bin:/bin"],
            "listen": [0],
            "nice": 5,
            "cwd": "/",
            "stdout": 1,
            "pdeathsig": signal.SIGKILL,  # the next warden's manager starts another, and two must not read one pipe
        }
        self.app.link.spawn([(spec, [theirs.fileno(), 2])])
        theirs.close()
        self.app.log_link.attach(ours)

    def no_logger(self, number: int) -> None:
        """There can be none now (errno `number`). Until there is one the bytes wait in their pipes."""
        if number != self.no_logger_errno:
            log.error("cannot start the logger, because %s; output waits for it; trying again every second", procinfo.why_no_process(number))
        self.no_logger_errno = number
        self.app.loop.call_later(1, self.start_logger)
