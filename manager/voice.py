"""What the manager itself has to say, on standard error, without ever waiting for whoever reads it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from unitd.manager import stderr

#: Lines that are kept for a reader that does not read.
BACKLOG = 2000


class Voice(logging.Handler):
    """Writes what can be written at once, keeps the rest until it can, and says how much there was no room for."""

    def __init__(self, fd: int = 2) -> None:
        super().__init__()
        self.fd = fd
        self._lines: deque[bytes] = deque()
        self._dropped = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have what is left written as soon as somebody reads again."""
        self._loop = loop
        self._wait()

    def emit(self, record: logging.LogRecord) -> None:
        """One message."""
        self._lines.append((self.format(record) + "\n").encode("utf-8", "backslashreplace"))
        self.flush()
        if len(self._lines) > BACKLOG:
            del self._lines[1]  # the first may be half written
            self._dropped += 1
        self._wait()

    def flush(self) -> None:
        """Write what can be written now."""
        try:
            while self._lines or self._dropped:
                if not self._lines:
                    text = f"unitd: {self._dropped} messages of unitd itself are left out here, because nobody read its standard error\n"
                    self._lines.append(text.encode())
                    self._dropped = 0
                line = self._lines[0]
                done = stderr.write(line, self.fd)
                if done < len(line):
                    self._lines[0] = line[done:]
                    return
                self._lines.popleft()
        except OSError:  # nobody will ever read it
            self._lines.clear()
            self._dropped = 0

    def _wait(self) -> None:
        wanted = bool(self._lines)
        if self._loop is None or self._loop.is_closed() or wanted == self._waiting:
            return
        if wanted:
            self._loop.add_writer(self.fd, self._writable)
        else:
            self._loop.remove_writer(self.fd)
        self._waiting = wanted

    def _writable(self) -> None:
        self.flush()
        self._wait()
