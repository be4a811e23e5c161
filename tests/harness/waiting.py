"""Waiting for events; and one poll for what has none."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path

from unitd.manager import inotify

ROOT = Path(__file__).resolve().parents[2]
#: Seconds. No test is about how fast something is: a machine may be slow.
PATIENCE = 30.0


def poll(holds: Callable[[], object], what: str, patience: float = PATIENCE, pause: float = 0.02) -> None:
    """Look again and again until something holds. Raises AssertionError with `what` when it never does.

    Only for what no event tells of: the state or name of a process that is not ours, another program's port, the inside of a container.
    Units have `Manager.wait_for`, files `file_has`, ends of processes `wait_gone`, output `Lines.expect`, screens `terminal.Window.wait`.
    """
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(pause)


def readable(fd: int, end: float) -> bool:
    """Wait until there is something to read; False when that is not so by `end` (monotonic)."""
    return bool(select.select([fd], [], [], max(0.0, end - time.monotonic()))[0])


def file_has(path: Path, holds: Callable[[Path], object] = Path.exists, patience: float = PATIENCE) -> None:
    """Wait until `holds(path)`, woken by changes of the file and of its directory, which need not be there yet. Raises AssertionError."""
    end = time.monotonic() + patience
    mask = inotify.IN_CREATE | inotify.IN_MOVED_TO | inotify.IN_MODIFY | inotify.IN_CLOSE_WRITE | inotify.IN_DELETE | inotify.IN_MOVED_FROM
    fd = inotify.create()
    try:
        while True:
            inotify.add_watch(fd, str(next(p for p in path.parents if p.is_dir())), mask)
            if holds(path):
                return
            assert readable(fd, end), f"{path} is not as it should be; it {'has: ' + path.read_text(errors='replace')[-2000:] if path.is_file() else 'is not there'}"
            os.read(fd, 65536)
    finally:
        os.close(fd)


def free_port() -> int:
    """A TCP port on loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def connected(address: tuple[str, int] | str, patience: float = PATIENCE) -> socket.socket:
    """A connection to another program, which may still be opening its port or Unix socket."""
    found: list[socket.socket] = []

    def there() -> bool:
        connection = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        connection.settimeout(patience)
        try:
            connection.connect(address)
        except (ConnectionRefusedError, FileNotFoundError):
            connection.close()
            return False
        found.append(connection)
        return True

    poll(there, f"nothing listens on {address}", patience)
    return found[0]


class Lines:
    """What a process says through a pipe, line by line, with newlines, in `said`. It is read when somebody waits: no thread, for tests fork."""

    def __init__(self, fd: int, said: list[str], who: str = "unitd") -> None:
        self.fd, self.said, self.who = fd, said, who
        self._unread = b""

    def expect(self, text: str, patience: float = PATIENCE) -> str:
        """Wait for the next line that holds `text`. Raises AssertionError when it does not come."""
        end = time.monotonic() + patience
        while True:
            while b"\n" in self._unread:
                raw, _, self._unread = self._unread.partition(b"\n")
                self.said.append(raw.decode(errors="replace") + "\n")
                if text in self.said[-1]:
                    return self.said[-1]
            if not readable(self.fd, end) or not self._read():
                raise AssertionError(f"{self.who} did not say {text!r}: {''.join(self.said)}")

    def skip(self) -> None:
        """Take what was said up to now: `expect` is for what comes."""
        while readable(self.fd, 0.0) and self._read():
            pass
        self._take()

    def rest(self, patience: float = PATIENCE) -> None:
        """Read until everyone has closed the pipe. Raises AssertionError when that does not happen."""
        end = time.monotonic() + patience
        while readable(self.fd, end):
            if not self._read():
                return self._take()
        self._take()
        raise AssertionError(f"{self.who} does not end: {''.join(self.said)}")

    def _read(self) -> bool:
        data = os.read(self.fd, 65536)
        self._unread += data
        return bool(data)

    def _take(self) -> None:
        text, self._unread = self._unread.decode(errors="replace"), b""
        self.said += text.splitlines(keepends=True)
