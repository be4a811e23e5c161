"""tee(2), which Python has no door to: look at what is in a pipe without taking it out."""

from __future__ import annotations

import ctypes
import os

_NONBLOCK = 2
_libc = ctypes.CDLL(None, use_errno=True)
_libc.tee.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_uint)
_libc.tee.restype = ctypes.c_ssize_t


class Peek:
    """A pipe for copies."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def look(self, pipe: int, limit: int) -> bytes:
        """Up to `limit` (at most 64 KiB) of the bytes that `pipe` holds, which stay there; b"" if it is empty. Raises OSError."""
        count = _libc.tee(pipe, self.writer, min(limit, 65536), _NONBLOCK)
        if count < 0:
            error = ctypes.get_errno()
            if error == 11:
                return b""
            raise OSError(error, os.strerror(error))
        data = b""
        while len(data) < count:
            data += os.read(self.reader, count - len(data))
        return data

    def close(self) -> None:
        """Give both ends back."""
        os.close(self.reader)
        os.close(self.writer)
