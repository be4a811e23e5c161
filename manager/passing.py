"""Which descriptors a command of a unit is passed, and how: from 3 on with LISTEN_FDS, or as its standard input."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unitd.manager.states import Spawn
from unitd.units.model import Unit
from unitd.units.socket import descriptor_name

if TYPE_CHECKING:
    from unitd.manager.fdstore import FdStore
    from unitd.manager.sockets import Sockets

#: Commands of a .socket unit that see its sockets with PassFileDescriptorsToExec=yes.
SOCKET_ROLES = ("ExecStartPost", "ExecStopPre", "ExecStopPost")


@dataclass
class Passed:
    """`listen`: (name, descriptor) from 3 on. `standard`: the one socket that StandardInput=socket and its siblings get instead of these."""

    listen: list[tuple[str, int]] = field(default_factory=list)
    standard: int | None = None
    close: list[int] = field(default_factory=list)  # ours no more once the process is asked for
    nonblock: bool | None = None  # None: O_NONBLOCK stays as it is


class Passing:
    """Asks sockets and fd store; the executor puts the answer into the request."""

    def __init__(self, sockets: Sockets, store: FdStore) -> None:
        self.sockets, self.store = sockets, store

    def prepare(self, unit: Unit, effect: Spawn) -> Passed:
        """Only the main process of a service gets any (systemd.socket(5)). Raises OSError when StandardInput=socket has not exactly one socket to take."""
        if unit.type == "socket":
            if effect.role in SOCKET_ROLES and unit.socket.pass_fds_to_exec:
                return Passed([(descriptor_name(unit), fd) for fd in self.sockets.listeners.fds.get(unit.name, ())])
            return Passed()
        if effect.role != "ExecStart":
            return Passed()
        sockets = self.sockets.passed(unit)
        if "socket" in (unit.exec.standard_input, unit.exec.standard_output, unit.exec.standard_error):
            if len(sockets) != 1:
                reason = "it needs exactly one socket for StandardInput=socket, and there " + (f"are {len(sockets)}" if sockets else "is none")
                raise OSError(errno.EINVAL, reason, unit.name)
            if (nonblock := self._nonblock(unit)) is not None:
                os.set_blocking(sockets[0][1], not nonblock)
            return Passed(standard=sockets[0][1], close=self._handed_over(unit, effect))
        return Passed(sockets + self.store.passed(unit.name), close=self._handed_over(unit, effect), nonblock=self._nonblock(unit))

    def _nonblock(self, unit: Unit) -> bool | None:
        """NonBlocking=. The flag is the socket's, not the process's: what another worker of a pool has set for itself is not taken from it."""
        return None if not unit.service.non_blocking and self.sockets.shared(unit) else unit.service.non_blocking

    def _handed_over(self, unit: Unit, effect: Spawn) -> list[int]:
        """With the last command the connection of an instance is the service's alone, so that the peer sees its end."""
        return self.sockets.handed_over(unit) if effect.index + 1 == len(unit.service.exec_start) else []


def data_file(data: bytes) -> int:
    """A file without a name that has `data` (StandardInput=data)."""
    fd = os.memfd_create("unitd-stdin", os.MFD_CLOEXEC)
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
