"""Pools: the instances of a template that has `Instances=` in its [X-Unitd] section, and the target that starts and stops them together. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from unitd.units import names
from unitd.units.model import Unit, UnitSection

SUFFIX = "-pool.target"
MOST = 1000


def target_of(template: str) -> str:
    """`web@.service` or `web@3.service` -> `web-pool.target`."""
    return names.split(template)[0] + SUFFIX


def template_of(target: str) -> str:
    """`web-pool.target` -> `web@.service`; empty for another name."""
    return target.removesuffix(SUFFIX) + "@.service" if target.endswith(SUFFIX) and target != SUFFIX else ""


def instances(template: str, count: int) -> list[str]:
    """`web@1.service` to `web@N.service`."""
    prefix = names.split(template)[0]
    return [f"{prefix}@{number}.service" for number in range(1, count + 1)]


def number_of(instance: str) -> int:
    """3 for `web@3.service`; 0 for an instance that is no worker of a pool."""
    word = names.split(instance)[1] or ""
    return int(word) if word.isascii() and word.isdigit() and not word.startswith("0") and len(word) < 6 else 0


def target(name: str, template: Unit, count: int) -> Unit:
    """The unit `name`: a target that wants the first `count` instances. They are part of it, so that a stop or restart reaches all there are."""
    wants = tuple(instances(template.name, count))
    description = f"{count} instances of {template.name}"
    section = UnitSection(description=description, dependencies={"Wants": wants, "After": wants})
    return Unit(name, names=(name,), fragment_path=template.fragment_path, mtimes=template.mtimes, unit=section)


def member(unit: Unit, dependencies: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """`dependencies` of an instance of a pool, with what makes it one."""
    found = {kind: tuple(each) for kind, each in dependencies.items()}
    if unit.service.instances and number_of(unit.name):
        found["PartOf"] = tuple(dict.fromkeys([*found.get("PartOf", ()), target_of(unit.name)]))
    return found


def triggers(socket: Unit, template: str, count: int) -> Unit:
    """The socket that a pool shares starts all its instances."""
    dependencies = dict(socket.unit.dependencies)
    for kind in ("Triggers", "Before"):
        dependencies[kind] = tuple(dict.fromkeys([*dependencies.get(kind, ()), *instances(template, count)]))
    return msgspec.structs.replace(socket, unit=msgspec.structs.replace(socket.unit, dependencies=dependencies))
