"""What unitd says to the systemd that started it (sd_notify(3)), by the package sdnotify: ready, counts, reloading, stopping, and that it is alive."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from unitd.manager.forwarder import Forwarder
from unitd.manager.salvage import pidfd_name

if TYPE_CHECKING:
    from unitd.manager.engine import Engine
    from unitd.manager.link import WardenLink

log = logging.getLogger("unitd")
STATUS_AT_MOST_EVERY = 1.0
EXTEND_EVERY, EXTEND_BY = 15.0, 45.0


class Supervised:
    """Life under a supervisor that set $NOTIFY_SOCKET. Without a WatchdogSec= it never wakes up by itself."""

    def __init__(self, environ: Mapping[str, str], loop: asyncio.AbstractEventLoop, engine: Callable[[], Engine], link: WardenLink) -> None:
        """`environ` is the warden's."""
        import sdnotify

        self.loop, self.engine, self.link = loop, engine, link
        os.environ["NOTIFY_SOCKET"] = environ["NOTIFY_SOCKET"]  # the package looks there
        self._notifier = sdnotify.SystemdNotifier()
        del os.environ["NOTIFY_SOCKET"]
        self._ready = False
        self._stopping = False
        self._unclaimed: Callable[[], list[str]] = list
        self._said = ""
        self._status_due: asyncio.TimerHandle | None = None
        self._extend_due: asyncio.TimerHandle | None = None
        self._forget = environ.get("UNITD_FORGET", "").split()
        self.interval = watchdog_interval(environ, os.getppid())
        self.forwarder = Forwarder(environ["NOTIFY_SOCKET"], loop, store_limit(environ))
        link.on_store, link.on_drop = self.forwarder.stored, self.forwarder.dropped

    def say(self, *lines: str) -> None:
        """One message."""
        self._notifier.notify("\n".join(lines))

    # -- life

    def begin(self, continued: bool, pidfds: Mapping[int, int], unclaimed: Callable[[], list[str]]) -> None:
        """The manager serves. Ready is said when everything that is to be started at first has been; at once by a successor."""
        for name, fds in self.link.held.items():
            self.forwarder.stored(name, fds)
        for pid, fd in pidfds.items():
            self.spawned(pid, fd)
        self._unclaimed = unclaimed if not continued else list
        for name in self._forget:
            self.forwarder.forget(name)
        if self.interval:
            self._ping()
        if continued:
            self.ready()
        else:
            self._extend()

    def turn(self) -> None:
        """Something has happened."""
        if not self._ready and not self.engine().jobs:
            self.ready()
        if self._status_due is None:
            self._status_due = self.loop.call_later(STATUS_AT_MOST_EVERY, self._status)

    def ready(self) -> None:
        """The start transaction is done."""
        if not self._ready:
            self._ready = True
            if not self._stopping:
                self._cancel_extending()
            self._said = self.counts()
            for name in self._unclaimed():
                log.warning("systemd opened a socket called %s, and no socket unit that was started claims it; is its ListenStream= the same?", name)
            self.say("READY=1", f"MAINPID={os.getppid()}", f"STATUS={self._said}")

    def reloading(self) -> None:
        """Unit files are read again; `reloaded` follows."""
        self.say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """That is done."""
        self.say("READY=1")

    def stopping(self) -> None:
        """All units are being stopped, for as long as that takes."""
        if not self._stopping:
            self._stopping = True
            self.say("STOPPING=1", "STATUS=Stopping all units")
            self._cancel_extending()
            self._extend()

    def close(self) -> None:
        """The end."""
        self._cancel_extending()
        if self._status_due is not None:
            self._status_due.cancel()
        self.forwarder.close()

    def counts(self) -> str:
        """STATUS=: how many units are in which state."""
        records = self.engine().records.values()
        active = sum(r.active in ("active", "reloading") for r in records)
        failed = sum(r.active == "failed" for r in records)
        moving = sum(r.active in ("activating", "deactivating") for r in records)
        return f"{active} units active, {failed} failed" + (f", {moving} changing" if moving else "")

    def _status(self) -> None:
        self._status_due = None
        text = self.counts()
        if text != self._said and not self._stopping:
            self._said = text
            self.say(f"STATUS={text}")

    def _extend(self) -> None:
        """Units that take long are no reason to kill unitd."""
        self.say(f"EXTEND_TIMEOUT_USEC={int(EXTEND_BY * 1e6)}")
        self._extend_due = self.loop.call_later(EXTEND_EVERY, self._extend)

    def _cancel_extending(self) -> None:
        if self._extend_due is not None:
            self._extend_due.cancel()
            self._extend_due = None

    # -- alive

    def _ping(self) -> None:
        """The warden has to be alive as well: its answer is what is passed on."""
        self.link.ping()
        self.loop.call_later(self.interval, self._ping)

    def pong(self) -> None:
        """Manager and warden turn."""
        self.say("WATCHDOG=1")

    # -- processes

    def spawned(self, pid: int, pidfd: int) -> None:
        """A new child of the warden: how it ends is to be known whatever happens."""
        if pidfd >= 0:
            self.forwarder.push(pidfd_name(pid), [pidfd])

    def exited(self, pid: int) -> None:
        """Its end is known."""
        self.forwarder.drop(pidfd_name(pid))


def watchdog_interval(environ: Mapping[str, str], pid: int) -> float:
    """How often to say WATCHDOG=1: twice as often as asked for; 0: never. `pid` is whom $WATCHDOG_PID has to name."""
    usec, whose = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not usec.isdigit() or int(usec) == 0 or (whose and whose != str(pid)):
        return 0.0
    return int(usec) / 2e6


def store_limit(environ: Mapping[str, str]) -> int:
    """How many descriptors systemd may keep: with half of the file limit that it starts us with, it still can start us."""
    soft = environ.get("UNITD_NOFILE", "")
    limit = (int(soft) if soft.lstrip("-").isdigit() else resource.getrlimit(resource.RLIMIT_NOFILE)[0]) // 2
    asked = environ.get("FDSTORE", "")
    return min(limit if limit > 0 else 16384, int(asked) if asked.isdigit() else 16384)
