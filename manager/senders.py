"""Who may tell the manager what by sd_notify: the sender's unit, NotifyAccess=, MAINPID= (systemd.service(5); cases notify-008 to 011)."""

from __future__ import annotations

import logging
import os

from unitd.manager.engine import Engine
from unitd.manager.fdstore import FdStore
from unitd.manager.notices import number_of
from unitd.manager.processes import Processes
from unitd.manager.states import Notified
from unitd.manager.transitions import DOWN

log = logging.getLogger("unitd")


class Senders:
    """Checks each message and turns an accepted one into an event."""

    def __init__(self, engine: Engine, processes: Processes, store: FdStore) -> None:
        self.engine, self.processes, self.store = engine, processes, store

    def received(self, pid: int, uid: int, gid: int, fields: dict[str, str], fds: list[int]) -> None:
        """One datagram. Its descriptors are closed in any case: that also answers BARRIER=1."""
        try:
            self._received(pid, uid, dict(fields), fds)
        finally:
            for fd in fds:
                os.close(fd)

    def _received(self, pid: int, uid: int, fields: dict[str, str], fds: list[int]) -> None:
        name = self.processes.unit_of(pid)
        if name is None:
            log.debug("a notification from process %d, which belongs to no unit, is dropped", pid)
            return
        record, unit = self.engine.record(name), self.engine.unit(name)
        access = record.notify_access or unit.service.notify_access
        allowed = {"main": {record.main_pid}, "exec": {record.main_pid, record.control_pid}}.get(access, set())
        if record.sub in DOWN or access == "none" or (access != "all" and pid not in allowed):
            log.warning("%s: a notification from process %d is refused, because NotifyAccess=%s", name, pid, access)
            return
        if "MAINPID" in fields and not self._main_pid_ok(name, fields["MAINPID"], uid):
            log.warning("%s: MAINPID=%s is refused", name, fields.pop("MAINPID"))
        main = number_of(fields.get("MAINPID", ""))
        if main is not None and main != record.main_pid:
            self.processes.adopt(name, main)
        if fields.get("FDSTOREREMOVE") == "1":
            self.store.remove(name, fields.get("FDNAME", ""))
        elif fields.get("FDSTORE") == "1":
            self.store.add(unit, fields.get("FDNAME", ""), fds, fields.get("FDPOLL") != "0")
        self.engine.dispatch(name, Notified(pid, fields))

    def _main_pid_ok(self, name: str, text: str, uid: int) -> bool:
        pid = number_of(text)
        if pid is None or pid in (0, 1, os.getpid(), self.processes.warden_pid):
            return False
        if not os.path.exists(f"/proc/{pid}"):
            return False
        return self.processes.unit_of(pid) == name or uid == 0
