"""`unitd --exit-on UNIT`: unitd ends when the unit has, with the unit's exit code. Made for containers, where unitd is PID 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from unitd.manager.states import CLD_EXITED, Record

if TYPE_CHECKING:
    from unitd.manager.engine import Engine


def exit_code(record: Record) -> int:
    """What the unit's main process ended with: its exit code, 128 + N for signal N; 1 if the unit failed without one or was never up, 0 otherwise."""
    if record.exec_main_code == CLD_EXITED and (record.exec_main_status or record.result == "success"):
        return record.exec_main_status
    if record.exec_main_code and record.exec_main_code != CLD_EXITED:
        return 128 + record.exec_main_status
    return 0 if record.result == "success" and record.active == "inactive" and "InactiveExit" in record.stamps else 1


def has_ended(record: Record, job: bool) -> bool:
    """Is it down for good: no restart is pending and no job will start it?"""
    return record.active in ("inactive", "failed") and "restart" not in record.deadlines and not job


class ExitOn:
    """Looks at one unit after each of its changes."""

    def __init__(self, unit: str, engine: Engine, soon: Callable[[Callable[[], None]], object], leave: Callable[[int], None]) -> None:
        """`soon` runs a function behind what happens now; `leave(code)` ends unitd."""
        self.unit, self.engine, self.soon, self.leave = unit, engine, soon, leave
        self._ended = False

    def begin(self) -> None:
        """It is to be up, or on its way, from now on."""
        self.engine.change_waiters[self.unit].append(self._changed)
        self.soon(self._look)

    def _changed(self) -> None:
        self.engine.change_waiters[self.unit].append(self._changed)
        self.soon(self._look)

    def _look(self) -> None:
        record = self.engine.record(self.unit)
        if not self._ended and has_ended(record, self.unit in self.engine.jobs):
            self._ended = True
            self.leave(exit_code(record))
