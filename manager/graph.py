"""Dependencies among the loaded units, in both directions and by systemd's names for each. Pure (systemd.unit(5))."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from unitd.units.model import Unit

#: Relations that one unit writes down and the other has: name -> (what this unit lists, what others list about this unit).
RELATIONS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Requires": (("Requires",), ()),
    "Requisite": (("Requisite",), ()),
    "Wants": (("Wants",), ()),
    "BindsTo": (("BindsTo",), ()),
    "PartOf": (("PartOf",), ()),
    "Upholds": (("Upholds",), ()),
    "RequiredBy": ((), ("Requires",)),
    "RequisiteOf": ((), ("Requisite",)),
    "WantedBy": ((), ("Wants",)),
    "BoundBy": ((), ("BindsTo",)),
    "ConsistsOf": ((), ("PartOf",)),
    "UpheldBy": ((), ("Upholds",)),
    "Conflicts": (("Conflicts",), ()),
    "ConflictedBy": ((), ("Conflicts",)),
    "Before": (("Before",), ("After",)),
    "After": (("After",), ("Before",)),
    "OnSuccess": (("OnSuccess",), ()),
    "OnSuccessOf": ((), ("OnSuccess",)),
    "OnFailure": (("OnFailure",), ()),
    "OnFailureOf": ((), ("OnFailure",)),
    "Triggers": (("Triggers",), ("TriggeredBy",)),
    "TriggeredBy": (("TriggeredBy",), ("Triggers",)),
    "PropagatesReloadTo": (("PropagatesReloadTo",), ("ReloadPropagatedFrom",)),
    "ReloadPropagatedFrom": (("ReloadPropagatedFrom",), ("PropagatesReloadTo",)),
    "PropagatesStopTo": (("PropagatesStopTo",), ("StopPropagatedFrom",)),
    "StopPropagatedFrom": (("StopPropagatedFrom",), ("PropagatesStopTo",)),
    "JoinsNamespaceOf": (("JoinsNamespaceOf",), ("JoinsNamespaceOf",)),
    # What systemd's jobs follow: several relations at once ("atoms").
    "pull-in-start": (("Requires", "BindsTo"), ()),
    "pull-in-start-ignored": (("Wants", "Upholds"), ()),
    "propagate-stop": (("PropagatesStopTo",), ("Requires", "Requisite", "BindsTo", "PartOf", "StopPropagatedFrom")),
    "propagate-restart": ((), ("Requires", "Requisite", "BindsTo", "PartOf")),
    "propagate-start-failure": ((), ("Requires", "Requisite", "BindsTo")),
    "retroactive-start": (("Requires", "BindsTo", "Upholds"), ()),
    "retroactive-stop-on-start": (("Conflicts",), ("Conflicts",)),
    "retroactive-stop-on-stop": (("PropagatesStopTo",), ("BindsTo", "StopPropagatedFrom")),
    "pins": ((), ("Requires", "Requisite", "Wants", "BindsTo", "Upholds")),
    "pinned": (("Requires", "Requisite", "Wants", "BindsTo", "Upholds"), ()),
}
#: A target is ordered after what it pulls in (systemd.target(5), "Default Dependencies").
TARGET_PULLS = ("Requires", "Wants", "BindsTo", "Requisite", "Upholds")


class Graph:
    """Loaded units by name, and who is related to whom. Names in dependencies may be aliases; answers are the units' own names."""

    def __init__(self) -> None:
        self.units: dict[str, Unit] = {}
        self.aliases: dict[str, str] = {}
        self._reverse: dict[str, dict[str, dict[str, None]]] = defaultdict(lambda: defaultdict(dict))
        self._known: dict[tuple[str, str], tuple[str, ...]] = {}

    def add(self, unit: Unit) -> None:
        """Put a unit in, or its new definition in place of the old one, with its aliases."""
        self.remove(unit.name)
        self.aliases.pop(unit.name, None)
        self.units[unit.name] = unit
        for kind, names in unit.unit.dependencies.items():
            for name in names:
                self._reverse[kind][name][unit.name] = None
        for alias in unit.names:
            if alias != unit.name:
                self.alias(alias, unit.name)

    def alias(self, alias: str, name: str) -> None:
        """`alias` is another name of `name` from now on."""
        self.remove(alias)
        self.aliases[alias] = name
        self._known.clear()

    def remove(self, name: str) -> None:
        """Take a unit out; what others say about it stays."""
        self._known.clear()
        old = self.units.pop(name, None)
        if old is None:
            return
        for kind, names in old.unit.dependencies.items():
            for other in names:
                self._reverse[kind][other].pop(name, None)
        for alias in old.names:
            if self.aliases.get(alias) == name:
                del self.aliases[alias]

    def deps(self, name: str, kind: str) -> tuple[str, ...]:
        """What `name` lists under `kind`, as its file says."""
        unit = self.units.get(name)
        return unit.deps(kind) if unit else ()

    def rdeps(self, name: str, kind: str) -> tuple[str, ...]:
        """Who lists `name` under `kind`."""
        found: dict[str, None] = {}
        unit = self.units.get(name)
        for each in (unit.names or (name,)) if unit else (name,):
            found.update(self._reverse[kind].get(each, {}))
        found.update(self._reverse[kind].get(name, {}))
        return tuple(found)

    def related(self, name: str, relation: str) -> tuple[str, ...]:
        """The units that stand in `relation` (see RELATIONS) to `name`, itself left out. In no order that means anything, but a stable one."""
        key = (name, relation)
        known = self._known.get(key)
        if known is None:
            forward, backward = RELATIONS[relation]
            found: dict[str, None] = {}
            for kind in forward:
                for other in self.deps(name, kind):
                    found[self.aliases.get(other, other)] = None
            for kind in backward:
                found.update(dict.fromkeys(self.rdeps(name, kind)))
            if relation == "After" and name.endswith(".target"):
                found.update(dict.fromkeys(self._pulled_first(name)))
            elif relation == "Before":
                found.update(dict.fromkeys(t for k in TARGET_PULLS for t in self.rdeps(name, k) if t.endswith(".target") and name in self.related(t, "After")))
            found.pop(name, None)
            known = self._known[key] = tuple(found)
        return known

    def _pulled_first(self, target: str) -> list[str]:
        """What a target is after because it pulls it in: unless either side has no default dependencies, or says the opposite."""
        unit = self.units.get(target)
        if unit is None or not unit.unit.default_dependencies:
            return []
        found = []
        for kind in TARGET_PULLS:
            for name in unit.deps(kind):
                other = self.units.get(self.aliases.get(name, name))
                if other is None or other.load_state != "loaded" or not other.unit.default_dependencies:
                    continue
                names = {target, *unit.names}
                if names.isdisjoint(other.deps("After")) and {other.name, *other.names}.isdisjoint(unit.deps("Before")):
                    found.append(other.name)
        return found

    def after(self, name: str) -> tuple[str, ...]:
        """Units that `name` is ordered after."""
        return self.related(name, "After")

    def before(self, name: str) -> tuple[str, ...]:
        """Units that `name` is ordered before."""
        return self.related(name, "Before")

    def referenced(self, name: str) -> bool:
        """Does any loaded unit name this one?"""
        return any(by.get(name) for by in self._reverse.values())
