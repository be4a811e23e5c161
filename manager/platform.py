"""What the engine needs from the machine it runs on. `executor` is the real one; tests bring their own."""

from __future__ import annotations

from typing import Any, Protocol

from unitd.manager.states import ArmTimer, Cleanup, Effect, ReadPidFile, Record, Signal, Spawn
from unitd.units.model import Unit


class Platform(Protocol):
    """Clock, timers, processes and the outside world. Answers come back as events through `Engine.dispatch`."""

    def now(self) -> float:
        """CLOCK_MONOTONIC in seconds."""

    def realtime(self) -> float:
        """CLOCK_REALTIME in seconds, for showing only."""

    def jitter(self) -> float:
        """A random number in [0, 1)."""

    def new_invocation(self) -> str:
        """32 random hex digits."""

    def check(self, unit: Unit) -> tuple[bool, bool]:
        """(conditions hold, asserts hold)."""

    def spawn(self, unit: Unit, record: Record, effect: Spawn) -> None:
        """Run a command; `Spawned` follows."""

    def signal(self, unit: Unit, record: Record, effect: Signal) -> None:
        """Signal processes of the unit."""

    def arm(self, name: str, effect: ArmTimer) -> None:
        """Set a timer of the unit `name`."""

    def disarm(self, name: str, timer: str) -> None:
        """Forget a timer."""

    def watch_empty(self, unit: Unit, record: Record) -> None:
        """Deliver `Empty` when no process of the unit is left."""

    def read_pid_file(self, unit: Unit, record: Record, effect: ReadPidFile) -> None:
        """Deliver `PidFile`."""

    def cleanup(self, unit: Unit, record: Record, effect: Cleanup) -> None:
        """Remove what the unit leaves behind."""

    def perform(self, unit: Unit, record: Record, effect: Effect) -> None:
        """Carry out an effect that is of one unit type only (making a socket, watching a path)."""

    def publish(self, topic: str, data: dict[str, Any]) -> None:
        """Tell subscribers."""

    def log(self, level: str, message: str) -> None:
        """One line in the manager's log."""

    def act(self, name: str, action: str, exit_status: int) -> None:
        """SuccessAction=, FailureAction= and their like of the unit `name`: exit, reboot, ... (systemd.unit(5))."""

    def later(self) -> None:
        """Have `Engine.run_queue` called in this turn of the loop."""
