"""Carries out what .socket units decide: opens, watches, accepts, starts the service, and finds the descriptors that a service is passed."""

from __future__ import annotations

import logging
import os
import socket
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unitd.manager import events, listening
from unitd.manager.jobs import Refused
from unitd.manager.listeners import ACCEPTS, Listeners
from unitd.manager.listening import ListenError
from unitd.manager.socketstates import (
    CheckService,
    ChownSockets,
    CloseSockets,
    Connection,
    DropPending,
    Incoming,
    OpenSockets,
    RefuseConnection,
    ServiceState,
    SocketChecked,
    SocketsChowned,
    SocketsOpened,
    StartInstance,
    Trigger,
    TriggerFailed,
    UnwatchSockets,
    WatchSockets,
)
from unitd.manager.sockettransitions import OPEN
from unitd.manager.states import Record
from unitd.units.model import Unit
from unitd.units.socket import descriptor_name, service_of

if TYPE_CHECKING:
    from unitd.manager.engine import Engine
    from unitd.manager.executor import Executor

log = logging.getLogger("unitd")
STORE = "connection"
#: Out of descriptors or memory: look again after this many seconds.
PAUSE = 1.0


@dataclass
class Accepted:
    """A connection that waits for its service to start."""

    fd: int
    peer: str
    remote: tuple[str, int]


class Sockets:
    """What the engine knows of sockets beyond their records."""

    def __init__(self, engine: Engine, executor: Executor, listeners: Listeners) -> None:
        self.engine, self.executor, self.listeners = engine, executor, listeners
        self.waiting: dict[str, Accepted] = {}  # instance -> connection that it has not been passed yet
        self.open: dict[str, dict[str, str]] = defaultdict(dict)  # socket -> instance -> source
        executor.performers.update(
            {
                CheckService: self._check,
                OpenSockets: self._open,
                ChownSockets: self._chown,
                WatchSockets: self._watch,
                UnwatchSockets: lambda unit, record, effect: self.listeners.unwatch(unit.name),
                DropPending: lambda unit, record, effect: self.listeners.flush(unit.name),
                CloseSockets: lambda unit, record, effect: self.listeners.close(unit),
                Trigger: self._trigger,
                StartInstance: self._start_instance,
                RefuseConnection: self._refuse,
            }
        )
        engine.watchers.append(self.changed)

    # -- which service

    def own_service(self, unit: Unit) -> str:
        """The service that Service= or the name says; empty if there is none and others name the socket in Sockets=."""
        own = service_of(unit)
        return own if own in unit.deps("Triggers") else ""

    def services(self, unit: Unit) -> list[str]:
        """Every service that the socket is passed to, its own first."""
        return list(dict.fromkeys([*unit.deps("Triggers"), *sorted(self.engine.graph.related(unit.name, "Triggers"))]))

    def sockets_of(self, service: str) -> list[str]:
        """The sockets of a service: Sockets= in its order, then those that trigger it."""
        unit = self.engine.graph.units.get(service)
        own = list(unit.service.sockets) if unit else []
        return list(dict.fromkeys([*own, *sorted(self.engine.graph.related(service, "TriggeredBy"))]))

    def busy(self, service: str) -> bool:
        """Up, or on its way up."""
        job = self.engine.jobs.get(service)
        return self.engine.is_up(service) or (job is not None and job.type in ("start", "restart"))

    # -- effects

    def _check(self, unit: Unit, record: Record, effect: CheckService) -> None:
        self.engine.dispatch(unit.name, SocketChecked(effect.invocation, self.obstacle(unit)))

    def obstacle(self, unit: Unit) -> str:
        """Why the socket cannot be started now; empty if it can."""
        if unit.socket.accept:
            return ""  # whether there is a template is seen at the first connection
        name = self.own_service(unit)
        if not name:
            if self.services(unit):
                return ""
            return f"no service belongs to it: there is no {service_of(unit)}, and no service names it in Sockets="
        service = self.engine.unit(name)
        if service.load_state != "loaded":
            return f"its service {name} cannot be used ({service.load_state})"
        if self.engine.record(name).sub not in ("dead", "failed", "auto-restart"):
            return f"its service {name} is up already; stop it first"
        return ""

    def _open(self, unit: Unit, record: Record, effect: OpenSockets) -> None:
        problem = ""
        try:
            self.listeners.open(unit)
        except ListenError as error:
            problem = str(error)
        self.engine.dispatch(unit.name, SocketsOpened(problem))

    def _chown(self, unit: Unit, record: Record, effect: ChownSockets) -> None:
        problem = ""
        try:
            self.listeners.chown(unit)
        except ListenError as error:
            problem = str(error)
        self.engine.dispatch(unit.name, SocketsChowned(problem))

    def _watch(self, unit: Unit, record: Record, effect: WatchSockets) -> None:
        if effect.flush:
            self.listeners.flush(unit.name)
        self.watch(unit)

    def watch(self, unit: Unit) -> None:
        """Wait for traffic; the kernel tells."""
        name = unit.name
        if unit.socket.accept:
            self.listeners.watch(name, lambda fd: self._connections(unit, fd))
        else:
            self.listeners.watch(name, lambda fd: self._incoming(name))

    def _stopping(self, name: str) -> bool:
        job = self.engine.jobs.get(name)
        return job is not None and job.type == "stop"

    def _incoming(self, name: str) -> None:
        self.listeners.unwatch(name)
        unit = self.engine.unit(name)
        self.engine.dispatch(name, Incoming(any(self.busy(s) for s in self.services(unit)), self._stopping(name)))

    def _trigger(self, unit: Unit, record: Record, effect: Trigger) -> None:
        own = self.own_service(unit)
        names = [own] if own else self.services(unit)
        try:
            if not names:
                raise Refused("no-service", "there is none any more")
            self.engine.submit(names, "start")
        except Refused as error:
            self.engine.dispatch(unit.name, TriggerFailed(str(error)))
            return
        self._tell(unit, record, "traffic")

    def _tell(self, unit: Unit, record: Record, what: str, peer: str = "") -> None:
        """Subscribers learn what happens at the socket."""
        connections = len(self.open.get(unit.name, ()))
        self.executor.publish(*events.socket(unit.name, what, self.executor.realtime(), peer, record.n_accepted, connections))

    def _refuse(self, unit: Unit, record: Record, effect: RefuseConnection) -> None:
        accepted = self.waiting.get(effect.instance)
        self._tell(unit, record, "refused", accepted.peer if accepted else "")
        self._hang_up(effect.instance)

    # -- Accept=yes

    def _connections(self, unit: Unit, fd: int) -> None:
        for _ in range(ACCEPTS):
            if self.engine.record(unit.name).sub != "listening" or unit.name not in self.listeners.fds:
                return
            try:
                connection = self.listeners.accept(fd)
            except OSError as error:
                log.error("%s: cannot accept a connection, because %s", unit.name, error.strerror)
                self.listeners.unwatch(unit.name)
                self.executor.loop.call_later(PAUSE, self._look_again, unit.name)
                return
            if connection is None:
                return
            self._accepted(unit, connection)

    def _look_again(self, name: str) -> None:
        if self.engine.record(name).sub == "listening":
            self.watch(self.engine.unit(name))

    def _accepted(self, unit: Unit, connection: socket.socket) -> None:
        record = self.engine.record(unit.name)
        try:
            source, remote, words = listening.peer(connection)
        except OSError:
            connection.close()  # gone before anybody looked
            return
        instance = f"{unit.name.removesuffix('.socket')}@{record.n_accepted + record.n_refused}-{words}.service"
        self.waiting[instance] = Accepted(connection.detach(), source, remote)
        have = self.open[unit.name]
        event = Connection(instance, len(have), sum(1 for s in have.values() if s == source), self._stopping(unit.name))
        self.engine.dispatch(unit.name, event)

    def _start_instance(self, unit: Unit, record: Record, effect: StartInstance) -> None:
        name, accepted = effect.instance, self.waiting[effect.instance]
        try:
            self.engine.unit(name)
            instance = self.engine.record(name)
            instance.socket, instance.peer, instance.remote = unit.name, accepted.peer, accepted.remote
            self.engine.changed.add(name)
            self.engine.submit([name], "start")
        except Refused as error:
            self._hang_up(name)
            self.engine.dispatch(unit.name, TriggerFailed(str(error)))
            return
        self.open[unit.name][name] = accepted.peer
        self.executor.link.store(f"{STORE}:{name}", [accepted.fd])
        self._tell(unit, record, "accepted", accepted.peer)

    def _hang_up(self, instance: str) -> None:
        accepted = self.waiting.pop(instance, None)
        if accepted is not None:
            os.close(accepted.fd)
            self.executor.link.drop(f"{STORE}:{instance}")

    def restore_connection(self, instance: str, fds: list[int]) -> None:
        """A connection that an earlier manager had accepted and not passed on."""
        record = self.engine.record(instance)
        for fd in fds[:1]:
            self.waiting[instance] = Accepted(fd, record.peer, record.remote)
        for fd in fds[1:]:
            os.close(fd)

    # -- what becomes of services

    def changed(self, name: str) -> None:
        """A unit's state or job changed: tell its sockets; forget the instance of a connection that is over."""
        record = self.engine.records.get(name)
        if record is None or not name.endswith(".service"):
            return
        if record.socket:
            self._instance_changed(name, record)
            return
        for socket_name in self.sockets_of(name):
            unit = self.engine.graph.units.get(socket_name)
            if unit is None or self.engine.record(socket_name).sub not in ("listening", "running"):
                continue
            others = any(self.busy(s) for s in self.services(unit) if s != name)
            self.engine.dispatch(socket_name, ServiceState(record.sub, record.start_limit_hit, name in self.engine.jobs, others))

    def _instance_changed(self, name: str, record: Record) -> None:
        if record.sub in ("exited", "auto-restart"):  # the instance is still there, its connection is over
            self.open[record.socket].pop(name, None)
            self._hang_up(name)
            return
        if record.sub not in ("dead", "failed") or name in self.engine.jobs:
            return
        self.open[record.socket].pop(name, None)
        self._hang_up(name)
        unit = self.engine.graph.units.get(name)
        if record.sub == "dead" or (unit is not None and unit.unit.collect_mode == "inactive-or-failed"):
            self.executor.loop.call_soon(self._forget, name)

    def _forget(self, name: str) -> None:
        record = self.engine.records.get(name)
        if record is not None and record.sub in ("dead", "failed") and name not in self.engine.jobs:
            self.engine.forget(name)

    # -- passing

    def passed(self, unit: Unit) -> list[tuple[str, int]]:
        """(name for LISTEN_FDNAMES, descriptor) of every open socket of a service, in order."""
        if unit.name in self.waiting:
            return [("connection", self.waiting[unit.name].fd)]
        found: list[tuple[str, int]] = []
        for name in self.sockets_of(unit.name):
            sock = self.engine.graph.units.get(name)
            if sock is not None and not sock.socket.accept and self.engine.record(name).sub in OPEN:
                found += [(descriptor_name(sock), fd) for fd in self.listeners.fds.get(name, ())]
        return found

    def shared(self, unit: Unit) -> bool:
        """Does another service use one of its sockets just now?"""
        socks = [self.engine.graph.units[n] for n in self.sockets_of(unit.name) if n in self.engine.graph.units]
        return any(self.engine.active(s) not in ("inactive", "failed") for sock in socks for s in self.services(sock) if s != unit.name)

    def handed_over(self, unit: Unit) -> list[int]:
        """The connection of an instance goes to its process: from now on only that holds it. Descriptors to close once the request is out."""
        accepted = self.waiting.pop(unit.name, None)
        if accepted is None:
            return []
        self.executor.link.drop(f"{STORE}:{unit.name}")
        return [accepted.fd]

    # -- after the manager's death

    def resume(self) -> None:
        """Watch again what was listening; sockets that were lost with the warden are made anew."""
        for name, record in list(self.engine.records.items()):
            if record.socket and record.sub not in ("dead", "failed", "exited", "auto-restart"):
                self.open[record.socket][name] = record.peer
            if not name.endswith(".socket") or record.sub not in OPEN:
                continue
            unit = self.engine.unit(name)
            if name not in self.listeners.fds:
                try:
                    self.listeners.open(unit)
                except ListenError as error:
                    log.error("%s: %s", name, error)
            if record.sub == "listening":
                self.watch(unit)

    # -- telling

    def properties(self, unit: Unit) -> dict[str, str]:
        """What `show` tells of a socket beyond the unit's own lines."""
        if unit.type != "socket":
            return {}
        triggers = [service_of(unit)] if unit.socket.accept and not unit.deps("Triggers") else self.services(unit)
        return {"NConnections": str(len(self.open.get(unit.name, ()))), "Triggers": " ".join(triggers)}
