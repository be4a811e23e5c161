"""Standard error for programs that must never wait for whoever reads it: a pipe that nobody empties, a stopped terminal. Standard library only."""

from __future__ import annotations

import os
import select

#: What a descriptor that poll(2) calls writable takes at once (PIPE_BUF).
PIECE = 4096


def write(data: bytes, fd: int = 2) -> int:
    """How many bytes could be written without waiting. Raises OSError where there is nobody any more."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    done = 0
    while done < len(data) and poll.poll(0):
        try:
            done += os.write(fd, data[done : done + PIECE])
        except BlockingIOError:
            break
    return done
