"""The bus as the page uses it: calls from many greenlets over a few connections. Its blocking sockets are made cooperative by gevent."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gevent.lock import BoundedSemaphore

from unitd.bus.client import Client
from unitd.bus.connecting import BusError, CallFailed, Unreachable
from unitd.bus.endpoint import path_of
from unitd.bus.messages import Reply
from unitd.bus.subscription import Events
from unitd.web import rows
from unitd.web.types import Detail, File, Job, Sample, Unit

#: Requests at once; more wait.
CALLS = 64
#: Idle connections that are kept.
KEPT = 4
#: How long a question may take; a job may take as long as it does.
PATIENCE = 30.0


class Once(Events):
    """Typed events of one manager. It does not wait for the next one: who loses one tells its visitors first, and comes again."""

    def _again(self) -> None:
        self.close()
        raise Unreachable("cannot hear unitd any more, because its manager is gone")


class Source:
    """Questions and requests to one manager. Raises BusError (Unreachable, CallFailed) everywhere."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.runtime_dir = os.path.dirname(path_of(endpoint))
        self._idle: list[Client] = []
        self._slots = BoundedSemaphore(CALLS)
        #: Known to be gone, by who listens: then nobody waits for an answer.
        self.gone = False

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A connection for one call."""
        if self.gone:
            raise Unreachable(f"cannot reach unitd at {self.endpoint}: its manager is gone", "the page goes on by itself when it is back")
        with self._slots:
            client = self._idle.pop() if self._idle else Client(self.endpoint, PATIENCE)
            good = False
            try:
                yield client
                good = True
            except CallFailed:
                good = True
                raise
            finally:
                if good and len(self._idle) < KEPT:
                    self._idle.append(client)
                else:
                    client.close()

    def call(self, verb: str, units: Sequence[str] = (), **options: Any) -> Reply:
        """Ask; the answer whatever it says."""
        with self.client() as client:
            return client.call(verb, units, **options)

    def check(self, verb: str, units: Sequence[str] = (), **options: Any) -> Reply:
        """Ask; an answer that is an error is raised as CallFailed."""
        with self.client() as client:
            return client.check(verb, units, **options)

    def events(self, patterns: Sequence[str]) -> Events:
        """Typed events until the manager goes away: then BusError is raised."""
        return Once(self.endpoint, patterns)

    # -- units

    def units(self, names: Sequence[str] = ()) -> list[Unit]:
        """Rows of all units, or of these. Those that are just named somewhere, with nothing behind the name, are left out."""
        data = self.check("snapshot", list(names)).data or {}
        return [rows.from_snapshot(row) for row in data.get("units") or () if row.get("load") != "not-found" or row.get("active") != "inactive"]

    def detail(self, name: str) -> Detail | None:
        """All about one unit, None if there is no such unit."""
        status = self.call("status", [name], lines=1)
        if not status.ok or not status.data or not status.data[0].get("found"):
            return None
        shown = self.check("show", [name]).data or [{}]
        row = self.check("snapshot", [name]).data["units"][0]
        return rows.detail(rows.from_snapshot(row), status.data[0], shown[0])

    def history(self, name: str, seconds: float) -> list[Sample]:
        """What the manager remembers of a unit's use, oldest first; empty for a unit that is down."""
        reply = self.call("stats", [name], history=seconds, measure=0)
        rows = (reply.data or [{}])[0].get("history") or () if reply.ok else ()
        return [Sample(float(at), float(cpu) / 100, int(memory)) for at, cpu, memory, *_ in rows]

    def files(self, name: str) -> list[File]:
        """The unit file and its drop-ins; none for a unit without."""
        reply = self.call("cat", [name])
        if reply.error is not None and reply.error.code == "no-such-unit":
            return []
        if not reply.ok:
            raise CallFailed(reply)
        return [File(str(r["path"]), str(r["text"])) for r in reply.data or ()]

    def jobs(self) -> list[Job]:
        """Jobs that wait or run."""
        return [Job(int(r["job"]), str(r["unit"]), str(r["type"]), str(r["state"])) for r in self.check("list-jobs").data or ()]

    def log_dir(self, name: str) -> str:
        """Where the output of a unit is."""
        found = self.check("logs", [name]).data or ()
        if not found:
            raise BusError(f"cannot find the output of {name}, because unitd does not know it", "unitctl list-units --all lists what there is")
        return str(found[0]["dir"])
