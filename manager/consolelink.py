"""The manager's side of the console process: starts it when the first unit's output is to be shown, and tells it which."""

from __future__ import annotations

import asyncio
import logging
import marshal
import os
import socket
import sys
from collections import deque
from typing import TYPE_CHECKING, Any

from unitd.manager.spec import SpawnSpec
from unitd.units.model import Unit

if TYPE_CHECKING:
    from unitd.manager.config import Config
    from unitd.manager.link import WardenLink

log = logging.getLogger("unitd")
CONSOLE_ID = "unitd:console"
STORE = "console"


def shown_name(unit: Unit) -> str:
    """`web.1` for web@1.service, `web` for web.service; SyslogIdentifier= if there is one."""
    return unit.exec.syslog_identifier or unit.name.removesuffix(".service").replace("@", ".")


class ConsoleLink:
    """Never blocks: what the socket does not take waits here."""

    def __init__(self, loop: asyncio.AbstractEventLoop, link: WardenLink, config: Config) -> None:
        self.loop, self.link, self.config = loop, link, config
        self.sock: socket.socket | None = None
        self.alive = False
        self.shown: set[str] = set()
        self._queue: deque[bytes] = deque()
        self._writing = False
        self._ended: asyncio.Future[None] | None = None

    def wanted(self, unit: Unit) -> bool:
        """Is the unit's output to be shown, besides being kept?"""
        e = unit.exec
        words = (e.standard_output, e.standard_error)
        return self.config.log_console or e.standard_output == "inherit" or any(word.endswith("+console") for word in words)

    # -- what an earlier manager left

    def restore(self, fds: list[int]) -> None:
        """Its end of the socket, from the warden's store."""
        for fd in fds[1:]:
            os.close(fd)
        if fds:
            self.sock = socket.socket(fileno=fds[0])
            self.sock.setblocking(False)

    def seen(self) -> None:
        """The process is there."""
        self.alive = True

    def exited(self) -> None:
        """It is gone: its reader is, or unitd is leaving."""
        self.alive = False
        self.link.drop(STORE)
        self._drop_socket()
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    # -- commands

    def show(self, unit: Unit, directory: str) -> None:
        """Have everything shown that the unit prints from now on."""
        if unit.name in self.shown:
            return
        self.shown.add(unit.name)
        if not self.alive and not self._start():
            return
        inode = size = 0
        try:
            found = os.stat(os.path.join(directory, "current"))
            inode, size = found.st_ino, found.st_size
        except OSError:
            pass  # nothing yet
        self._put({"op": "show", "unit": unit.name, "dir": directory, "name": shown_name(unit), "inode": inode, "size": size})

    async def end(self, patience: float) -> None:
        """Have everything shown that is in the files, and wait for that, but not for a reader that does not read."""
        if self.alive and self.sock is not None:
            self._ended = self.loop.create_future()
            self._put({"op": "end"})
            try:
                await asyncio.wait_for(self._ended, patience)
            except TimeoutError:
                log.error("nobody reads the standard output; its last lines are in the logs only")

    def _start(self) -> bool:
        import unitd

        package = os.path.dirname(os.path.dirname(os.path.abspath(unitd.__file__)))
        self._drop_socket()
        try:
            os.fstat(1)
            self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            log.error("cannot show output on the console, because %s", error.strerror)
            return False
        self.sock.setblocking(False)
        self.link.store(STORE, [self.sock.fileno()])
        script = os.path.join(package, "unitd", "manager", "console.py")
        spec: SpawnSpec = {
            "id": f"{CONSOLE_ID}|{os.getpid()}",
            "path": sys.executable,
            "argv": [sys.executable, "-I", "-S", script, "--package-dir", package, self.config.log_format],
            "env": ["UNITD_CONSOLE_FD=3", "LISTEN_PID=", "PATH=/usr/bin:/bin", *(f"{k}={os.environ[k]}" for k in ("TERM", "NO_COLOR") if k in os.environ)],
            "listen": [0],
            "cwd": "/",
            "stdout": 1,
            "stderr": 2,
        }
        self.link.spawn([(spec, [theirs.fileno(), 1, 2])])
        theirs.close()
        self.alive = True
        return True

    def _drop_socket(self) -> None:
        if self.sock is not None:
            if self._writing:
                self.loop.remove_writer(self.sock.fileno())
                self._writing = False
            self.sock.close()
            self.sock = None
        self._queue.clear()

    def _put(self, message: dict[str, Any]) -> None:
        self._queue.append(marshal.dumps(message))
        self._write()

    def _write(self) -> None:
        while self._queue and self.sock is not None:
            try:
                self.sock.send(self._queue[0], socket.MSG_NOSIGNAL)
            except BlockingIOError:
                if not self._writing:
                    self.loop.add_writer(self.sock.fileno(), self._write)
                    self._writing = True
                return
            except OSError:
                self._drop_socket()  # gone; its exit is reported apart
                return
            self._queue.popleft()
        if self._writing and self.sock is not None:
            self.loop.remove_writer(self.sock.fileno())
            self._writing = False
