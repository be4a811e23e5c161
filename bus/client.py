"""The client's end of the bus, for programs: blocking calls and events, from the standard library and msgspec alone.

with Client() as unitd:
    unitd.start(["web"])
    print(unitd.status(["web"])[0]["active"])
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from unitd.bus import endpoint as endpoints
from unitd.bus import logstore
from unitd.bus.connecting import GRACE, PATIENCE, BusError, CallFailed, Unreachable, connect, misunderstood, why
from unitd.bus.messages import BadMessage, Reply, Request, decode_reply, encode
from unitd.bus.subscription import Events, RawEvent, Subscription
from unitd.bus.zmtp import Connection
from unitd.units.suffix import with_suffix

if TYPE_CHECKING:
    from unitd.bus.logclient import UnitLine

__all__ = ["BusError", "CallFailed", "Client", "Events", "RawEvent", "Snapshot", "Subscription", "Unreachable"]

#: Verbs that wait for jobs, so without a limit of time.
JOB_VERBS = frozenset({"start", "stop", "restart", "try-restart", "reload", "reload-or-restart", "try-reload-or-restart", "isolate", "scale", "run"})
#: Verbs that must not run twice: they are not sent again to a new manager.
ONCE_VERBS = frozenset({"run", "kill", "exit", "daemon-reexec", "cancel"})
HEARTBEAT = 2.0
SILENCE = 30.0
RESENDS = 20
MAX_REQUEST = 256 * 1024


@dataclass(frozen=True)
class Snapshot:
    """All units as they are at `position` in the manager's events: rows as `messages` has them. `time` is CLOCK_REALTIME."""

    instance: str
    position: int
    time: float
    units: list[dict[str, Any]]


class Client:
    """A connection to one manager, made at the first call and again when the manager was replaced.

    `timeout` bounds a call (not those that wait for jobs), in seconds; None: no bound. Not for several threads.
    """

    def __init__(self, endpoint: str | None = None, timeout: float | None = 60.0) -> None:
        self.endpoint = endpoint or endpoints.find(None, os.environ, os.getuid())
        self.timeout = timeout
        self._path = endpoints.path_of(self.endpoint)
        self._connection: Connection | None = None
        self._ids = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def call(self, verb: str, units: Sequence[str] = (), **options: Any) -> Reply:
        """Ask, and wait for the answer, whatever it says. Raises Unreachable, BusError.

        When the manager is replaced meanwhile the request goes to its successor, except for verbs that must not run twice.
        """
        request = Request(
            verb, list(units), {k: v for k, v in options.items() if v is not None and v is not False}, id=f"{os.getpid()}.{next(self._ids)}"
        )
        raw = encode(request)
        if len(raw) > MAX_REQUEST:
            raise BusError(
                f"cannot send {verb}, because the request has {len(raw)} bytes, and {MAX_REQUEST} is the limit",
                "name fewer units, or a glob",
            )
        patience, resends = GRACE, 0
        limit = None if verb in JOB_VERBS or options.get("wait") else self.timeout
        end = None if limit is None else time.monotonic() + limit
        while True:
            connection = self._connected(patience)
            try:
                connection.send(raw)
                return self._await(connection, request, end)
            except OSError as error:
                self.close()
                resends += 1
                if verb in ONCE_VERBS or "by" in options or resends > RESENDS:
                    raise Unreachable(
                        f"unitd at {self.endpoint} went away during {verb}: {why(error)}", "whether it took effect is unknown"
                    ) from None
                patience = PATIENCE
                time.sleep(0.02 * resends)

    def _await(self, connection: Connection, request: Request, end: float | None) -> Reply:
        """The reply to `request`. Pings show that the manager lives, however long the job takes."""
        heard = time.monotonic()
        while True:
            now = time.monotonic()
            wait = HEARTBEAT if end is None else min(HEARTBEAT, max(0.0, end - now))
            message = connection.receive(wait)
            if message is not None:
                heard = time.monotonic()
                try:
                    reply = decode_reply(message[-1])
                except BadMessage as error:
                    self.close()
                    raise misunderstood(self.endpoint, error) from None
                if reply.id in (request.id, ""):
                    return reply
                continue
            now = time.monotonic()
            if (end is not None and now >= end) or now - heard > SILENCE:
                self.close()
                raise Unreachable(
                    f"unitd at {self.endpoint} does not answer ({request.verb}, {now - heard:.0f} s)", "is it stopped, or overloaded?"
                )
            connection.send(encode(Request("ping", id="heartbeat")))

    def _connected(self, patience: float) -> Connection:
        """The connection. A socket that refuses may be between two managers: that is waited for, for `patience` seconds."""
        if self._connection is None:
            self._connection = connect(self._path, "DEALER", self.endpoint, patience)
        return self._connection

    def check(self, verb: str, units: Sequence[str] = (), **options: Any) -> Reply:
        """As `call`, but raises CallFailed when the manager could not do it."""
        reply = self.call(verb, units, **options)
        if not reply.ok:
            raise CallFailed(reply)
        return reply

    # -- verbs

    def start(self, units: Sequence[str], no_block: bool = False, wait: bool = False, job_mode: str = "replace") -> Reply:
        """Start units and wait for the jobs (unless `no_block`). Raises CallFailed."""
        return self.check("start", units, no_block=no_block, wait=wait, job_mode=job_mode)

    def stop(self, units: Sequence[str], no_block: bool = False, job_mode: str = "replace") -> Reply:
        """Stop units and wait for the jobs (unless `no_block`). Raises CallFailed."""
        return self.check("stop", units, no_block=no_block, job_mode=job_mode)

    def restart(self, units: Sequence[str], no_block: bool = False, job_mode: str = "replace") -> Reply:
        """Restart units and wait for the jobs (unless `no_block`). Raises CallFailed."""
        return self.check("restart", units, no_block=no_block, job_mode=job_mode)

    def reload(self, units: Sequence[str], no_block: bool = False) -> Reply:
        """Ask services to reload. Raises CallFailed."""
        return self.check("reload", units, no_block=no_block)

    def kill(self, units: Sequence[str], signal: str = "SIGTERM", whom: str = "all") -> Reply:
        """Send a signal to processes of units. Raises CallFailed."""
        return self.check("kill", units, signal=signal, kill_whom=whom)

    def scale(self, template: str, count: int) -> dict[str, Any]:
        """Have `count` numbered instances of the template run: {template, before, count, started, stopped, jobs}. Raises CallFailed."""
        return dict(self.check("scale", [template], count=count).data or {})

    def reset_failed(self, units: Sequence[str] = ()) -> Reply:
        """Clear the failed state and the start limit. Raises CallFailed."""
        return self.check("reset-failed", units)

    def daemon_reload(self) -> Reply:
        """Read unit files again. Raises CallFailed."""
        return self.check("daemon-reload")

    def status(self, units: Sequence[str] = (), lines: int = 10) -> list[dict[str, Any]]:
        """One row for each unit (see `messages`)."""
        return list(self.check("status", units, lines=lines).data or [])

    def show(self, units: Sequence[str]) -> list[dict[str, str]]:
        """Properties of each unit, as `unitctl show` prints them."""
        return list(self.check("show", units).data or [])

    def is_active(self, unit: str) -> bool:
        """Is the unit active, or reloading?"""
        return self.check("is-active", [unit]).exit_code == 0

    def list_units(self, patterns: Sequence[str] = (), all: bool = False, failed: bool = False) -> list[dict[str, Any]]:
        """Units in memory; without `all` the interesting ones."""
        return list(self.check("list-units", patterns, all=all, failed=failed).data or [])

    def list_unit_files(self, patterns: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Installed unit files and whether they are enabled."""
        return list(self.check("list-unit-files", patterns).data or [])

    def list_jobs(self) -> list[dict[str, Any]]:
        """Jobs that wait or run."""
        return list(self.check("list-jobs").data or [])

    def ping(self) -> dict[str, Any]:
        """The manager's {instance, pid}."""
        return dict(self.check("ping").data or {})

    def snapshot(self) -> Snapshot:
        """All units at once, and the position in the stream of events that this belongs to."""
        data = dict(self.check("snapshot").data or {})
        return Snapshot(str(data.get("instance", "")), int(data.get("position", 0)), float(data.get("time", 0.0)), list(data.get("units", [])))

    def log_dir(self) -> str:
        """Where the manager keeps captured output; found also while none runs."""
        usual = logstore.usual_log_dir(os.getuid(), os.environ.get("HOME", "/"), os.environ.get("XDG_STATE_HOME", ""))
        return logstore.find_log_dir(os.path.dirname(self._path), usual)

    def logs(
        self, units: str | Sequence[str] = (), follow: bool = False, lines: int | None = None, since: float = 0.0, until: float = 0.0
    ) -> Iterator[UnitLine]:
        """Lines that units printed, by time, from the files, which have to be on this machine. `units` are names or globs, none means all.

        `lines` only the newest, `since` and `until` seconds of realtime. With `follow` it goes on with what comes, across rotation and new
        managers, and never ends. Raises OSError for files that may not be read, Unreachable when a followed manager stays away.
        """
        from unitd.bus.logclient import LogFeed, Wanted, read_logs

        names = [n if any(c in n for c in "*?[") else with_suffix(n) for n in ([units] if isinstance(units, str) else units)]
        wanted, log_dir = Wanted(since, until), self.log_dir()
        if follow:
            with LogFeed(log_dir, names, self.events, wanted, lines) as feed:
                yield from feed
        found = logstore.units(log_dir, names)
        yield from read_logs({unit: os.path.join(log_dir, unit) for unit in found}, dict.fromkeys(found, wanted), lines)

    def stats(self, units: Sequence[str] = (), measure: float = 0.5, history: float = 0.0, pss: bool = False, sockets: bool = False) -> list[dict[str, Any]]:
        """What units use now (see `messages`); `measure` is for how long CPU is measured where nobody samples anyway."""
        return list(self.check("stats", units, measure=measure, history=history, pss=pss, sockets=sockets).data or [])

    def metrics(self) -> str:
        """All figures as OpenMetrics text."""
        return self.check("metrics").out

    def events(self, patterns: Sequence[str] = ("",)) -> Events:
        """Subscribe to typed events (`unitd.bus.events`) by topic: a beginning ("unit."), or a glob ("unit.web*"). Raises Unreachable."""
        return Events(self.endpoint, patterns)

    def subscribe(self, topics: Sequence[str] = ("",)) -> Subscription:
        """Subscribe to events as they are on the wire, of topics that begin with any of `topics`. Raises Unreachable."""
        return Subscription(self.endpoint, topics)
