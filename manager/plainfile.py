"""Files that people name: what is behind the name may be a pipe that nobody writes to, or a device without an end. The manager waits for neither."""

from __future__ import annotations

import errno
import os
import stat

LIMIT = 4 << 20


def read(path: str, limit: int = LIMIT) -> bytes:
    """All of a regular file, or of a device such as /dev/null. Raises OSError, also for what is neither and for more than `limit` bytes."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        mode = os.fstat(fd).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
            number, reason = (errno.EISDIR, "it is a directory") if stat.S_ISDIR(mode) else (errno.EINVAL, "it is no regular file")
            raise OSError(number, reason, path)
        parts: list[bytes] = []
        left = limit
        while left >= 0 and (data := os.read(fd, left + 1)):
            parts.append(data)
            left -= len(data)
    finally:
        os.close(fd)
    if left < 0:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
    return b"".join(parts)
