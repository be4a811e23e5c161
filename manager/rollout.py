"""A rolling restart: one unit after the other, each only once the one before is up again; it ends with the first that fails. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Rollout:
    """How far it is. `current` is being restarted; `failed` ended it, what is in `todo` then was left as it is."""

    todo: tuple[str, ...] = ()
    current: str = ""
    done: tuple[str, ...] = ()
    failed: str = ""


def begin(units: Iterable[str]) -> Rollout:
    """Start with the first."""
    return _next(Rollout(todo=tuple(dict.fromkeys(units))))


def ended(rollout: Rollout, unit: str, result: str) -> Rollout:
    """The restart job of `unit` is over. What is not the current unit's changes nothing."""
    if unit != rollout.current or rollout.failed:
        return rollout
    if result not in ("done", "skipped"):
        return replace(rollout, current="", failed=unit)
    return _next(replace(rollout, current="", done=(*rollout.done, unit)))


def _next(rollout: Rollout) -> Rollout:
    if not rollout.todo:
        return rollout
    return replace(rollout, current=rollout.todo[0], todo=rollout.todo[1:])
