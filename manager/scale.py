"""How many numbered instances of a template run: which to start, which to stop. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from unitd.units import names

MOST = 10_000


def plan(template: str, up: Iterable[str], count: int) -> tuple[list[str], list[str]]:
    """(instances to start, instances to stop) so that `count` numbered instances of `template` (w@.service) run.

    The lowest free numbers from 1 are started, the highest are stopped. Instances with other names are left alone.
    Raises ValueError.
    """
    prefix, instance, kind = names.split(template)
    if instance is None:
        raise ValueError(f"cannot scale {template}, because it is no template; its name would be {prefix}@.{kind}")
    if not 0 <= count <= MOST:
        raise ValueError(f"cannot scale {template} to {count}, because it has to be a number from 0 to {MOST}")
    running = sorted(numbers(template, up))
    stop = running[count:]
    free = (n for n in range(1, MOST * 2) if n not in set(running))
    start = [next(free) for _ in range(count - len(running))]
    return [f"{prefix}@{n}.{kind}" for n in start], [f"{prefix}@{n}.{kind}" for n in reversed(stop)]


def numbers(template: str, units: Iterable[str]) -> set[int]:
    """The numbers of numbered instances of the template among `units`."""
    prefix, _instance, kind = names.split(template)
    found = set()
    for unit in units:
        stem, instance, suffix = names.split(unit)
        if (stem, suffix) == (prefix, kind) and instance and instance.isascii() and instance.isdigit() and str(int(instance)) == instance:
            found.add(int(instance))
    return found
