"""The manager process: wires everything together, takes over what an earlier manager left, and serves until told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from typing import Any

import msgspec

from unitd.bus.server import BusServer
from unitd.manager import commands, events, firststart, ownunits, patience, procinfo, takeover, wire
from unitd.manager.adoption import BUS, EVENTS, NOTIFY, Adoption
from unitd.manager.cgroup import CgroupTree
from unitd.manager.config import Config
from unitd.manager.consolelink import ConsoleLink
from unitd.manager.controllers import Controllers
from unitd.manager.doors import Doors
from unitd.manager.engine import Engine
from unitd.manager.executor import Executor
from unitd.manager.exiton import ExitOn
from unitd.manager.fdstore import FdStore
from unitd.manager.handover import Handover
from unitd.manager.heartbeat import BeatingSelector
from unitd.manager.jobs import Refused
from unitd.manager.link import WardenLink
from unitd.manager.listeners import Listeners
from unitd.manager.live import Live
from unitd.manager.loglink import LogLink
from unitd.manager.machines import PERPETUAL
from unitd.manager.notify import NotifySocket
from unitd.manager.output import Output
from unitd.manager.passing import Passing
from unitd.manager.processes import Processes
from unitd.manager.sampler import Sampler
from unitd.manager.senders import Senders
from unitd.manager.sockets import Sockets
from unitd.manager.states import Empty, Exit, Exited
from unitd.manager.store import StateStore
from unitd.manager.systemd import Supervised
from unitd.manager.transient import OwnFiles
from unitd.manager.triggers import Triggers
from unitd.manager.unitcache import KeptUnits
from unitd.manager.verbs.base import Context
from unitd.manager.views import Views
from unitd.manager.voice import Voice
from unitd.units.loader import Loader, default_unit_paths, host_facts

log = logging.getLogger("unitd")


class App:
    """The composition root."""

    def __init__(self, config: Config, loop: asyncio.AbstractEventLoop, environ: dict[str, str], selector: BeatingSelector) -> None:
        """`environ` is what the warden gave: a warden that this process may have to become gets it too."""
        self.config, self.loop, self.environ, self.selector = config, loop, environ, selector
        self.stopping = self.detached = False
        self.exit_code, self.unacknowledged, self.saving = 0, 0, 0.0
        self.pid_file = os.environ.pop("UNITD_PIDFILE", "")
        self.done: asyncio.Future[int] = loop.create_future()
        self.paths = list(config.unit_path) or default_unit_paths(os.getuid(), dict(os.environ))
        host = host_facts()
        late = [ownunits.write(config.runtime_dir)]
        self.own_files = OwnFiles(config.runtime_dir)
        self.loader = Loader(self.own_files.paths(self.paths), host, config.defaults(), late)
        state = os.path.join(config.runtime_dir, "state.db")
        self.store = StateStore(state, environ.get(takeover.LIFE, ""), distrust=int(environ.get("UNITD_STILLBORN", "0")) >= 3)
        if self.store.problem:
            log.error("%s", self.store.problem)
        self.own_files.begin(environ.get(takeover.LIFE, ""))
        warden = socket.socket(fileno=int(os.environ.pop("UNITD_WARDEN_FD")))
        self.adoption = Adoption(self)
        self.link = WardenLink(warden, loop, self.adoption)
        self.adoption.same_warden = self.store.recall("warden") == procinfo.identity(os.getppid())
        self.store.note("warden", procinfo.identity(os.getppid()))
        self.store.note("owner", environ.get(takeover.OWNER, ""))
        self.doors = Doors(self.link)
        self.systemd = Supervised(environ, loop, lambda: self.engine, self.link) if "NOTIFY_SOCKET" in environ else None
        self.log_link = LogLink(loop, self.log_event)
        console = ConsoleLink(loop, self.link, config)
        self.output = Output(self.log_link, self.link, console, config.log_dir, config, lambda n: self.engine.unit(n))
        self.notify: NotifySocket | None = None
        self.bus = BusServer(config.runtime_dir, loop, self.handle)
        owner = int(environ.get(takeover.OWNER, os.getppid()))
        cgroups = CgroupTree.probe(owner)
        self.controllers = Controllers.probe(cgroups, owner)
        self.processes = Processes(loop, cgroups, os.getppid(), lambda n: self.engine.record(n), self.empty, self.alien_exit)
        notify_path = os.path.join(config.runtime_dir, "notify")
        self.executor = Executor(loop, self.link, self.processes, self.output, host, notify_path, self.bus.publish, self.turn, self.controllers)
        cache = os.path.join(config.runtime_dir, "units.cache")
        self.units = KeptUnits(cache, self.loader.load, loop, lambda: self.engine.graph.units.values())
        self.engine = Engine(self.units, self.executor)
        self.executor.engine = self.engine
        self.executor.act = self.act
        self.triggers = Triggers(loop, self.engine, self.executor, config.state_dir, self.began())
        self.handover = Handover(os.path.join(config.runtime_dir, "fds"), loop, self.executor)
        self.fd_store = FdStore(loop, self.link)
        self.sockets = Sockets(self.engine, self.executor, Listeners(loop, self.link))
        self.executor.passing = Passing(self.sockets, self.fd_store)
        self.executor.remember(self.store)
        self.executor.cleaners.append(self.fd_store.release)
        self.views = Views(self.engine, self.loader, self.processes, self.output, self.paths, self.controllers)
        self.views.sources += [self.sockets.properties, lambda unit: {"NFileDescriptorStore": str(self.fd_store.count(unit.name))} if unit.type == "service" else {}]
        self.sampler = Sampler(loop, self.bus, self.engine, self.processes)
        self.bus.on_subscriptions = self.sampler.wanted
        self.exit_on = ExitOn(config.exit_on, self.engine, loop.call_soon, self.leave)
        self.live = Live(self.bus, self.engine, self.views, self.sampler)
        self.context = Context(
            self.engine, self.executor, self.loader, self.views, self.output, self.paths, self.bus.instance, self.reload_units, self.shutdown, self.live, self.detach, self.reexec,
            self.own_files, self.triggers, self.handover, self.units,
        )

    def began(self) -> float:
        """When unitd came up, by the monotonic clock: managers come and go."""
        if not self.store.recall("began"):
            self.store.note("began", repr(time.monotonic()))
        return float(self.store.recall("began"))

    async def handle(self, request: Any, peer: Any) -> Any:
        return await commands.handle(self.context, request, peer)

    # -- one turn of the loop

    def turn(self) -> None:
        """Run jobs; then commit, ask for processes and acknowledge exits, in this order, so that a successor repeats nothing."""
        self.engine.run_queue()
        changed, self.engine.changed = self.engine.changed, set()
        forgotten, self.engine.forgotten = self.engine.forgotten, set()
        if changed or forgotten or self.engine.jobs_changed:
            self.engine.jobs_changed = False
            if not self.store.save([self.engine.record(n) for n in changed], {j.unit: j.type for j in self.engine.jobs.values()}, forgotten):
                self.engine.jobs_changed = True  # a later turn writes it, also when nothing else happens
                if self.saving <= self.loop.time():
                    self.saving = self.loop.call_later(3, self.executor.later).when()
        self.log_link.send()  # first: the logger is to know which invocation it is before that prints anything
        self.executor.flush()
        for name in forgotten:  # only now: the log of a template is that of its instances, whose processes were just asked for
            self.output.forget(name)
            self.bus.forget(name)
            if self.own_files.forget(name):
                self.units.drop(name)
        if self.unacknowledged:
            self.link.ack(self.unacknowledged)
            self.unacknowledged = 0
        if self.stopping and not self.engine.jobs:
            self.finish()
        if self.systemd is not None:
            self.systemd.turn()

    def empty(self, unit: str) -> None:
        self.engine.dispatch(unit, Empty())

    def alien_exit(self, unit: str, pid: int) -> None:
        """A main process that is nobody's child of ours ended: how is unknown, as it is to systemd."""
        self.engine.dispatch(unit, Exited(f"pid:{pid}", pid, Exit(1, 0)))

    def log_event(self, event: dict[str, Any]) -> None:
        for unit, size in event.get("wrote", {}).items():
            self.bus.publish(*events.log_written(unit, size, time.time()))
        for unit, lost in event.get("lost", {}).items():
            record = self.engine.record(unit)
            if not record.log_lost:
                log.error("%s: output is lost, because its log cannot be written: %s", unit, event["why"].get(unit))
            record.log_lost += lost
            record.log_lost_why = event["why"].get(unit, "")
            self.engine.changed.add(unit)
            self.executor.later()

    # -- life

    async def begin(self) -> None:
        """After GO: everything that was is taken over, the bus opens, a fresh manager starts what it is asked to."""
        self.open_doors()
        self.bus.publish(*events.manager("started", self.bus.instance, time.time()))
        if not self.adoption.continued and not self.stopping:
            firststart.begin(self.engine, self.loader, self.config.start, self.config.exit_on)
        if stopping := self.store.recall("stopping"):  # the last manager died over it
            self.exit_code = int(stopping)
            self.shutdown()
        if self.config.exit_on and not self.stopping:
            self.exit_on.begin()
        log.info("ready (bus ipc://%s)", os.path.join(self.config.runtime_dir, "bus"))
        gc.freeze()
        gc.enable()
        self.watch()
        if self.systemd is not None:
            self.systemd.begin(self.adoption.continued, self.processes.pidfds, self.sockets.listeners.unclaimed)
            self.executor.later()

    def open_doors(self) -> None:
        """Everything is known now: hear services and clients. Raises OSError."""
        path = os.path.join(self.config.runtime_dir, "notify")
        self.notify = NotifySocket(path, self.loop, Senders(self.engine, self.processes, self.fd_store).received, self.doors.notify(NOTIFY, path))
        if NOTIFY not in self.link.held:
            self.link.store(NOTIFY, [self.notify.fileno()])
        self.bus.start(self.doors.listener(BUS, self.bus.bus_path), self.doors.listener(EVENTS, self.bus.events_path))

    def watch(self) -> None:
        """Have the warden notice when this process hangs."""
        limit = self.config.hang_timeout
        self.link.watch(limit, -1 if limit is None else self.selector.begin(limit))

    async def reload_units(self) -> list[str]:
        """daemon-reload."""
        if self.systemd is not None:
            self.systemd.reloading()
        self.units.reread()
        with self.loader.batch():
            for name in self.loader.list_files():
                if "@." not in name and name not in self.engine.graph.units:
                    self.engine.unit(name)
            told = self.engine.reload_units()
        self.triggers.reloaded()
        for line in told:
            log.warning("%s", line)
        self.output.refresh_all()
        self.bus.publish(*events.reloaded(told, time.time()))
        if self.systemd is not None:
            self.systemd.reloaded()
        return told

    def hang_up(self) -> None:
        self.loop.create_task(self.reload_units())

    def act(self, name: str, action: str, exit_status: int) -> None:
        """A unit's SuccessAction=, FailureAction= and the like. unitd is not the machine: all of them end unitd, the -force ones without stopping units."""
        log.warning("%s: %s is asked for; ending with exit status %d", name, action, exit_status)
        self.exit_code = exit_status
        if action.endswith(("-force", "-immediate")):
            self.stopping = True
            self.finish()
        else:
            self.shutdown()

    def shutdown(self) -> None:
        """Stop all units in order, then leave. A second request changes nothing."""
        if self.stopping or self.detached:
            return
        self.stopping = True
        self.store.note("stopping", str(self.exit_code))
        log.info("stopping all units")
        if self.systemd is not None:
            self.systemd.stopping()
        self.bus.publish(*events.manager("stopping", self.bus.instance, time.time()))
        up = [n for n, r in self.engine.records.items() if r.active not in ("inactive", "failed") and n not in PERPETUAL]
        for name in up:
            try:
                self.engine.submit([name], "stop")
            except Refused as error:
                log.error("cannot stop %s: %s", name, error)
        self.executor.later()

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(self.exit_code)

    def leave(self, code: int) -> None:
        """The unit of --exit-on has ended."""
        if not self.stopping:
            log.info("%s has ended; ending with exit status %d", self.config.exit_on, code)
            self.exit_code = code
            self.shutdown()

    def reexec(self) -> None:
        """The successor is another program: it reads all anew."""
        self.units.reread()
        self.link.reexec()

    def detach(self) -> None:
        """Leave, and let everything run for the next unitd here."""
        log.info("leaving; services run on")
        self.detached = True
        self.turn()
        self.loop.call_later(0.05, self.finish)  # an answer goes out first

    async def run(self) -> int:
        """Serve until a shutdown is over; the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self.shutdown)
        self.loop.add_signal_handler(signal.SIGHUP, self.hang_up)
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)  # they mean nothing here, and are no reason to die
        self.adoption.load()
        self.link.hello()
        await self.adoption.ready
        await self.begin()
        code = await self.done
        try:
            await asyncio.wait_for(self.log_link.flush(), 5)
        except TimeoutError:
            log.error("the logger does not answer; its last lines may be missing")
        self.sampler.close()
        await self.output.console.end(5)
        self.handover.close()
        self.triggers.clock.close()
        self.store.close(over=not self.detached)
        if not self.detached:
            self.bus.close()
            if takeover.DOORS not in self.environ:
                self.doors.close()
            if self.notify is not None:
                self.notify.close()
            self.controllers.close()
            log.info("all units are stopped")
        if self.systemd is not None:
            self.systemd.close()
        if self.pid_file and os.path.exists(self.pid_file):
            os.unlink(self.pid_file)
        self.link.quit(code)
        if self.detached:
            os._exit(code)  # closing the bus would answer those who wait for the next manager
        return code


def raise_file_limit() -> None:
    """Pipes and pidfds take three descriptors a service; children get the old soft limit back from the warden."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def wait_until_needed(fd: int) -> int | None:
    """In reserve: nothing is open or read yet. How many managers before failed at their start; None when the warden is gone."""
    with socket.socket(fileno=os.dup(fd)) as sock:
        data = sock.recv(100)
    return int(data[1:]) if data[:1] == wire.WAKE.encode() else None


def main() -> int:
    """Entry point of the manager process, started by the warden."""
    import faulthandler

    import setproctitle

    faulthandler.enable()  # the warden sends SIGABRT when we hang: the stack goes to stderr
    environ = {k: v for k, v in os.environ.items() if k != "UNITD_WARDEN_FD"}
    config = msgspec.json.decode(os.environ[takeover.CONFIG], type=Config)
    setproctitle.setproctitle("unitd: manager")
    voice = Voice()
    logging.basicConfig(handlers=[voice], format="unitd: %(message)s", level=getattr(logging, config.log_level.upper()))
    for name in [k for k in os.environ if k.startswith("UNITD_") and k not in ("UNITD_WARDEN_FD", "UNITD_PIDFILE", "UNITD_CGROUP")]:
        del os.environ[name]
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "INVOCATION_ID", "FDSTORE", "MAINPID", "JOURNAL_STREAM"):
        os.environ.pop(name, None)  # ours, not the services'
    raise_file_limit()
    if environ.get(patience.RESERVE) == "1":
        setproctitle.setproctitle("unitd: manager in reserve")
        stillborn = wait_until_needed(int(os.environ["UNITD_WARDEN_FD"]))
        if stillborn is None:
            return 0
        environ["UNITD_STILLBORN"] = str(stillborn)
        setproctitle.setproctitle("unitd: manager")
    selector = BeatingSelector()
    loop = asyncio.SelectorEventLoop(selector)
    voice.attach(loop)
    app = App(config, loop, environ, selector)
    try:
        return loop.run_until_complete(app.run())
    finally:
        loop.close()


if __name__ == "__main__":
    sys.exit(main())
