"""The console process: shows what services print on unitd's own standard output, `web.1 | text`.

    python -I -S console.py --package-dir DIR plain|prefix|json

It follows the log files, woken by inotify, so that a terminal that is stopped or a pipe nobody reads holds nobody up, and what comes meanwhile
waits in the files. Commands come as marshal packets over the SEQPACKET socket whose number is in UNITD_CONSOLE_FD; the manager's end of it is
in the warden's store, so that this process and its places in the files outlive the manager.
"""

from __future__ import annotations

import ctypes
import marshal
import os
import select
import signal
import socket
import sys
import time

if __name__ == "__main__" and "--package-dir" in sys.argv[1:-1]:
    sys.path.insert(0, sys.argv[sys.argv.index("--package-dir") + 1])

from unitd.bus.logread import Follower, LogLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_MODIFY, _MOVED_TO, _CREATE = 0x2, 0x80, 0x100
_SETTLE = 0.005  # seconds in which more may come: fewer, larger writes
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)


class Formatter:
    """Lines as they are shown."""

    def __init__(self, style: str, colour: bool) -> None:
        self.style, self.colour = style, colour
        self.width = 0
        self.colours: dict[str, int] = {}

    def know(self, name: str) -> None:
        """A unit that will have lines: names are padded to the longest."""
        self.width = max(self.width, len(name))
        self.colours.setdefault(name, _COLOURS[len(self.colours) % len(_COLOURS)])

    def text(self, unit: str, name: str, lines: Iterable[LogLine]) -> bytes:
        """What to write for some lines of a unit; every one ends, so that no two share a line."""
        if self.style == "plain":
            return b"".join(line.text + b"\n" for line in lines)
        if self.style == "json":
            import json

            rows = (
                {"unit": unit, "realtime": x.realtime, "stream": ("stdout", "stderr", "unitd")[x.stream], "text": x.text.decode("utf-8", "backslashreplace")}
                for x in lines
            )
            return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
        head = f"{name:<{self.width}} | "
        if self.colour:
            head = f"\x1b[{self.colours.get(name, 36)}m{head}\x1b[0m"
        raw = head.encode("utf-8", "surrogateescape")
        return b"".join(raw + line.text + b"\n" for line in lines)


class Watch:
    """inotify on directories; the one of a unit that has printed nothing yet is waited for in its parent."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        self._paths: dict[int, str] = {}

    def add(self, path: str) -> bool:
        """False if there is no such directory, or no room for one more watch."""
        number = self._libc.inotify_add_watch(self.fd, os.fsencode(path), _MODIFY | _MOVED_TO | _CREATE)
        if number >= 0:
            self._paths[number] = path
        return bool(number >= 0)

    def changed(self) -> set[tuple[str, str]]:
        """(directory, name in it) of what happened; (directory, "") where events were lost."""
        found: set[tuple[str, str]] = set()
        while True:
            try:
                data = os.read(self.fd, 65536)
            except BlockingIOError:
                return found
            at = 0
            while at < len(data):
                number = int.from_bytes(data[at : at + 4], sys.byteorder, signed=True)
                length = int.from_bytes(data[at + 12 : at + 16], sys.byteorder)
                name = os.fsdecode(data[at + 16 : at + 16 + length].rstrip(b"\0"))
                if number < 0:
                    found.update((path, "") for path in self._paths.values())
                elif number in self._paths:
                    found.add((self._paths[number], name))
                at += 16 + length


class Console:
    """The loop."""

    def __init__(self, sock: socket.socket, formatter: Formatter, write: Callable[[bytes], None]) -> None:
        """`write` raises BrokenPipeError when nobody will read any more."""
        self.sock, self.formatter, self.write = sock, formatter, write
        self.units: dict[str, tuple[str, str, Follower]] = {}  # directory -> unit, shown name, follower
        self.watch = Watch()
        self.ending = False

    def run(self) -> int:
        """Until told to end, or nobody holds the other end of the socket any more."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        poll.register(self.watch.fd, select.POLLIN)
        while not self.ending:
            ready = [fd for fd, _ in poll.poll()]
            if self.watch.fd in ready:
                time.sleep(_SETTLE)
                self._look()
            if self.sock.fileno() in ready:
                self._command()
        for directory in list(self.units):
            self._show(directory, end=True)
        return 0

    def _look(self) -> None:
        for directory in sorted({path if path in self.units else os.path.join(path, name) for path, name in self.watch.changed()}):
            if directory in self.units:
                self.watch.add(directory)  # it may be a new one of that name
                self._show(directory)

    def _show(self, directory: str, end: bool = False) -> None:
        unit, name, follower = self.units[directory]
        try:
            lines = follower.read_new()
            if end:
                lines += follower.partial()
        except OSError as error:
            lines = [LogLine(time.time(), 2, f"unitd: cannot show the output of {unit}, because {error}".encode())]
        if lines:
            self.write(self.formatter.text(unit, name, lines))

    def _command(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            self.ending = True
            return
        command: dict[str, Any] = marshal.loads(data)
        if command["op"] == "end":
            self.ending = True
        elif command["op"] == "show" and command["dir"] not in self.units:
            directory = command["dir"]
            self.formatter.know(command["name"])
            follower = Follower(directory, at=(command["inode"], command["size"]))
            self.units[directory] = command["unit"], command["name"], follower
            self.watch.add(os.path.dirname(directory))  # first the parent: then nothing falls between
            self.watch.add(directory)
            self._show(directory)


def write_all(data: bytes) -> None:
    """To standard output, however long its reader takes."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(1, view) :]
        except BlockingIOError:  # somebody else made it non-blocking
            select.select([], [1], [])


def main() -> int:
    """Signals to the whole group are meant for services."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        with open("/proc/self/comm", "wb", buffering=0) as file:
            file.write(b"unitd: console")
    except OSError:
        pass
    fd = int(os.environ.pop("UNITD_CONSOLE_FD"))
    os.set_inheritable(fd, False)
    colour = os.isatty(1) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    try:
        return Console(socket.socket(fileno=fd), Formatter(sys.argv[-1], colour), write_all).run()
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
