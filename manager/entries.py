"""The parts that a transaction is made of, and what it has to know of the present. Pure."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from unitd.manager.graph import Graph
from unitd.manager.jobs import Job, Refused
from unitd.units.model import Unit


class World(Protocol):
    """What a transaction has to know of the present."""

    graph: Graph

    def unit(self, name: str) -> Unit:
        """The unit, loaded if need be."""

    def active(self, name: str) -> str:
        """ActiveState."""

    def job(self, name: str) -> Job | None:
        """The job that is installed."""

    def applicable(self, unit: Unit, type: str) -> bool:
        """Can the unit take a job of this type at all?"""


class Entry:
    """A job of the transaction. There may be several of one unit, of different types, until they are merged."""

    __slots__ = ("unit", "type", "ignore_order", "matters", "pulls", "pulled_by")

    def __init__(self, unit: str, type: str) -> None:
        self.unit, self.type = unit, type
        self.ignore_order = self.matters = False
        self.pulls: dict[Link, None] = {}
        self.pulled_by: dict[Link, None] = {}


class Link:
    """One job pulls another in. `matters`: it cannot do without. `conflicts`: it is a stop by Conflicts=."""

    __slots__ = ("subject", "object", "matters", "conflicts")

    def __init__(self, subject: Entry, object: Entry, matters: bool, conflicts: bool) -> None:
        self.subject, self.object, self.matters, self.conflicts = subject, object, matters, conflicts
        subject.pulls[self] = None
        object.pulled_by[self] = None


class Pull(NamedTuple):
    """A job to be added because of another one. `tolerant`: it may be left out if it cannot be made."""

    unit: str
    type: str
    matters: bool
    conflicts: bool = False
    tolerant: bool = False


def check_loaded(unit: Unit, name: str) -> None:
    """Raise `Refused` unless a job may be made for this unit, with systemctl's words and exit codes."""
    if unit.load_state == "loaded":
        return
    if unit.load_state == "not-found":
        raise Refused("no-such-unit", f"Unit {name} not found.", 5)
    if unit.load_state == "masked":
        raise Refused("masked", f"Unit {name} is masked.")
    if unit.load_state == "bad-setting":
        reason = "has a bad unit file setting."
    else:
        first = next((p for p in unit.problems if p.severity == "error"), None)
        why = str(first) if first is not None and not first.line else "Bad message"
        reason = f"failed to load properly, please adjust/correct and reload service manager: {why}"
    raise Refused(unit.load_state, f"Unit {name} {reason}")
