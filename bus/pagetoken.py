"""The secret that opens the status page: a file in the runtime directory, for whoever may read it there."""

from __future__ import annotations

import contextlib
import os
import secrets

NAME = "web.token"
MAX = 4096


def page_token(runtime_dir: str) -> str:
    """The token; made by whoever asks first. Raises OSError, PermissionError for a file of somebody else."""
    path = os.path.join(runtime_dir, NAME)
    with contextlib.suppress(FileNotFoundError):
        return read_secret(path)
    draft = f"{path}.{os.getpid()}.{secrets.token_hex(4)}"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(fd, secrets.token_urlsafe(32).encode() + b"\n")
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # the first one wins, and the file is never seen half written
    finally:
        os.close(fd)
        os.unlink(draft)
    return read_secret(path)


def read_secret(path: str) -> str:
    """The first line of a file that only its owner, root or this user, may read. Raises OSError, PermissionError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(fd)
        if (status.st_uid != 0 and os.getuid() not in (0, status.st_uid)) or status.st_mode & 0o077:
            raise PermissionError(1, "cannot use this secret, because others than its owner may read or own it; try chmod 600", path)
        text = os.read(fd, MAX).decode("utf-8", "replace").partition("\n")[0].strip()
    finally:
        os.close(fd)
    if not text:
        raise PermissionError(1, "cannot use this secret, because its first line is empty", path)
    return text
