"""The manager's ear to the warden: exits and spawns as they come, and at the start what an earlier manager left behind."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from unitd.manager.output import STORES
from unitd.manager.spec import SpawnSpec
from unitd.manager.states import CLD_DUMPED, CLD_EXITED, CLD_KILLED, ArmTimer, Exit, Exited, Record, Spawned
from unitd.manager.transitions import DOWN

if TYPE_CHECKING:
    from unitd.manager.app import App

log = logging.getLogger("unitd")
LOGGER_ID = "unitd:logger"


def exit_of(wait_status: int) -> Exit:
    """A wait(2) status as an `Exit`."""
    if os.WIFEXITED(wait_status):
        return Exit(CLD_EXITED, os.WEXITSTATUS(wait_status))
    return Exit(CLD_DUMPED if os.WCOREDUMP(wait_status) else CLD_KILLED, os.WTERMSIG(wait_status))


class Adoption:
    """Implements `link.LinkHandler`."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.ready: asyncio.Future[None] = app.loop.create_future()
        self.continued = False
        self.seen: set[str] = set()
        self.errors: dict[str, tuple[int, int, str]] = {}
        self.logger_pid = 0

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
            app.engine.unit(record.name)
            for token in (record.main_token, record.control_token):
                if token:
                    app.processes.begin(record.name, token)
            if record.main_pid and record.main_alien:
                app.processes.adopt(record.name, record.main_pid)

    # -- LinkHandler

    def kids(self, kids: list[tuple[int, str, int]]) -> None:
        for pid, token, pidfd in kids:
            self.seen.add(token)
            if token.startswith(LOGGER_ID):
                os.kill(pid, signal.SIGKILL)  # it served the manager that is gone
                os.close(pidfd)
                continue
            unit = self.app.processes.spawned(token, pid, pidfd)
            if unit is None:
                unit = token.partition("|")[0]
                self.app.processes.owner[token] = unit
            record = self.app.engine.record(unit)
            if (token == record.main_token and not record.main_pid) or (token == record.control_token and not record.control_pid):
                self.app.engine.dispatch(unit, Spawned(token, pid))

    def spawned(self, spawned: list[tuple[str, int, int, int]]) -> None:
        for token, pid, error, pidfd in spawned:
            if token.startswith(LOGGER_ID):
                self.logger_pid = pid
                if pidfd >= 0:
                    os.close(pidfd)
                continue
            unit = self.app.processes.spawned(token, pid, pidfd)
            if unit is not None:
                self.app.engine.dispatch(unit, Spawned(token, pid, error))

    def exited(self, exits: list[tuple[int, int, str, int]]) -> None:
        for seq, pid, token, status in exits:
            self.app.unacknowledged = max(self.app.unacknowledged, seq)
            self.seen.add(token)
            if token.startswith(LOGGER_ID):
                if pid == self.logger_pid and not self.app.done.done():
                    log.error("the logger ended (wait status %d); starting another, no output is lost", status)
                    self.start_logger()
                continue
            end = exit_of(status)
            code, error, step = self.errors.pop(token, (0, 0, ""))
            if step and end.code == CLD_EXITED and end.status == code:
                end = Exit(end.code, end.status, step, error)
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
        if kind in STORES:
            self.app.output.restore(kind, unit, fds)
        else:
            for fd in fds:
                os.close(fd)

    def go(self) -> None:
        """The warden has told everything it knew."""
        self.start_logger()
        engine = self.app.engine
        for record in list(engine.records.values()):
            self.resume(record)
        for unit, kind in self.app.store.load_jobs() if self.continued else []:
            self.resume_job(unit, kind)
        if not self.ready.done():
            self.ready.set_result(None)

    def resume(self, record: Record) -> None:
        """Timers go on with their remaining time; a process that was asked for but never made is asked for again."""
        engine = self.app.engine
        for name, (at, generation) in record.deadlines.items():
            self.app.executor.arm(record.name, ArmTimer(name, at, generation))
        if record.sub in DOWN:
            return
        for token in (record.main_token, record.control_token):
            if token and not token.startswith("pid:") and token not in self.seen:
                log.warning("%s: the process %s is gone, how it ended is unknown", record.name, token)
                engine.dispatch(record.name, Exited(token, 0, Exit(CLD_EXITED, 255, "unknown")))
        record = engine.record(record.name)
        if record.sub.endswith(("sigterm", "sigkill", "watchdog")) or (record.sub == "running" and not record.main_token):
            self.app.processes.watch_empty(record.name)

    def resume_job(self, unit: str, kind: str) -> None:
        """A job that was under way goes on."""
        from unitd.manager.jobs import Refused

        try:
            self.app.engine.submit([unit], {"verify-active": "start"}.get(kind, kind))
        except Refused as error:
            log.error("the %s job of %s is given up: %s", kind, unit, error)

    def lost(self) -> None:
        """The warden is gone: so are the means to keep services."""
        log.error("the warden is gone; leaving")
        os._exit(70)

    # -- the logger

    def start_logger(self) -> None:
        """Ask the warden for a logger process and hand it every pipe."""
        import socket

        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        import unitd

        package = os.path.dirname(os.path.dirname(os.path.abspath(unitd.__file__)))
        script = os.path.join(package, "unitd", "manager", "logger.py")
        spec: SpawnSpec = {
            "id": f"{LOGGER_ID}|{os.getpid()}|{theirs.fileno()}",
            "path": sys.executable,
            "argv": [sys.executable, "-I", "-S", script, "--package-dir", package],
            "env": ["UNITD_LOGGER_FD=3", "LISTEN_PID=", "PATH=/usr/bin:/bin"],
            "listen": [0],
            "nice": 10,
            "cwd": "/",
            "stdout": 1,
        }
        self.app.link.spawn([(spec, [theirs.fileno(), 2])])
        theirs.close()
        self.app.log_link.attach(ours)
