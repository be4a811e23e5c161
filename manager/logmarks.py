"""Small files beside a log: its identifier and when its invocations began."""

from __future__ import annotations

import os

_KEEP = 64 << 10


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(2 * _KEEP)
    except FileNotFoundError:
        return b""


def set_text(path: str, data: bytes, mode: int, gid: int) -> None:
    """Have the file contain `data`; an empty one need not exist. Written only if it differs. Raises OSError."""
    if _read(path) == data:
        return
    fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        if gid >= 0:
            os.fchown(fd, -1, gid)
        os.write(fd, data)
    finally:
        os.close(fd)
    os.rename(path + ".new", path)


def add_invocation(path: str, begun: int, identity: str, mode: int, gid: int) -> None:
    """Append "BEGUN ID", unless a logger that was killed has; only the newest are kept. Raises OSError."""
    line = b"%d %s\n" % (begun, identity.encode())
    have = _read(path)
    if not have.endswith(line):
        if len(have) > _KEEP:
            have = have[len(have) // 2 :].partition(b"\n")[2]
        set_text(path, have + line, mode, gid)
