"""The manager's side of captured output: one pipe per unit, held in the warden's store so that neither end is ever lost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from unitd.manager import logpipe
from unitd.units.model import Unit
from unitd.units.values import parse_size

if TYPE_CHECKING:
    from unitd.manager.config import Config
    from unitd.manager.link import WardenLink
    from unitd.manager.loglink import LogLink

#: What StandardOutput= may say and still mean: unitd captures it.
CAPTURED = ("journal", "inherit", "syslog", "kmsg", "journal+console", "kmsg+console", "syslog+console")


class Output:
    """Pipes by unit name; the logger reads them, services write them."""

    def __init__(self, log: LogLink, link: WardenLink, log_dir: str, config: Config) -> None:
        self.log, self.link, self.log_dir, self.config = log, link, log_dir, config
        self.pipes: dict[str, tuple[int, int]] = {}

    def directory(self, unit: str) -> str:
        """Where the unit's output is kept."""
        return os.path.join(self.log_dir, unit)

    def descriptor(self, unit: Unit) -> int | None:
        """The write end for the unit's stdout and stderr; None when neither is captured."""
        if unit.exec.standard_output not in CAPTURED and unit.exec.standard_error not in CAPTURED:
            return None
        if unit.name not in self.pipes:
            self.pipes[unit.name] = logpipe.make_pipe()
            self.link.store(f"log:{unit.name}", list(self.pipes[unit.name]))
            self._open(unit.name, unit)
        return self.pipes[unit.name][1]

    def restore(self, name: str, fds: list[int]) -> None:
        """Take back a pipe that an earlier manager had made."""
        if len(fds) == 2:
            # The store keeps no order: the read end is the one that cannot be written.
            reader, writer = sorted(fds, key=_is_writable)
            self.pipes[name] = (reader, writer)
            self._open(name, None)

    def _open(self, name: str, unit: Unit | None) -> None:
        size, files = self.config.log_max_size, self.config.log_max_files
        if unit is not None:
            own_size = unit.settings.get(("X-Unitd", "LogMaxSize"))
            own_files = unit.settings.get(("X-Unitd", "LogMaxFiles"))
            size = (parse_size(own_size[-1]) or size) if own_size else size
            files = int(own_files[-1]) if own_files and own_files[-1].isdigit() else files
        self.log.open(name, self.directory(name), self.pipes[name][0], max_size=size, max_files=files)


def _is_writable(fd: int) -> bool:
    import fcntl

    return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE)
