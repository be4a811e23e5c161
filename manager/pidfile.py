"""PID files: the one a forking service writes (PIDFile= in systemd.service(5)), and unitd's own."""

from __future__ import annotations

import os
import stat


def read_pid(path: str) -> tuple[int, str]:
    """(pid, ""), or (0, why not). The number must be the file's first line, alone, in decimal and above 1.

    As systemd does it, a symlink counts only if it is root's or ours or belongs to whom the file it leads to belongs to: nobody else may
    make us signal a process that is not the service's. Whether the process is the unit's is for the caller to check. Never raises.
    """
    said = f"PID file {path}"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        return 0, f"{said} does not exist"
    except OSError as error:
        return 0, f"{said} cannot be opened: {error.strerror}"
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            return 0, f"{said} is not a regular file"
        link = os.lstat(path)
        if stat.S_ISLNK(link.st_mode) and link.st_uid not in (0, os.geteuid(), found.st_uid):
            return 0, f"{said} is a symlink of user {link.st_uid}, which is not followed"
        data = os.read(fd, 128)
    except OSError as error:
        return 0, f"{said} cannot be read: {error.strerror}"
    finally:
        os.close(fd)
    text = data.partition(b"\n")[0].strip(b" \t\r")
    if not text:
        return 0, f"{said} is empty"
    digits = text.removeprefix(b"+")
    if not digits.isdigit() or len(digits) > 10 or int(digits) >= 1 << 31:
        return 0, f"{said} has no process ID but {text[:40].decode('ascii', 'backslashreplace')!r}"
    pid = int(digits)
    if pid <= 1:
        return 0, f"{said} names process {pid}, which no service can be"
    return pid, ""


def write(path: str, pid: int | None = None) -> None:
    """Write a PID file whole or not at all. An old one is replaced. Raises OSError."""
    temporary = f"{path}.{os.getpid()}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        try:
            os.write(fd, b"%d\n" % (os.getpid() if pid is None else pid))
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def remove(path: str, pid: int | None = None) -> bool:
    """Remove a PID file, given `pid` only if it names that process. False if it is not there, no file, or cannot be removed; never raises."""
    if pid is not None and read_pid(path)[0] != pid:
        return False
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):  # PIDFile=/dev/null names nothing that is ours to remove
            return False
        os.unlink(path)
    except OSError:
        return False
    return True
