"""What is there before the first manager: services that an earlier unitd left running, and descriptors from systemd.

A warden that starts takes all this into its bag. Processes are known by pid and start time, as the state file says, so that none is mistaken
for another; their output by the pipes that they write to.
"""

from __future__ import annotations

import ctypes
import os
import socket
import stat
from collections.abc import Mapping, MutableMapping
from urllib.parse import quote, unquote

from unitd.manager import procinfo
from unitd.manager.bag import Bag
from unitd.manager.rights import close_all

#: Names in systemd's store of descriptors that unitd put there. Other names are sockets that systemd opened.
KEPT = "u."
#: In the warden's store: sockets that systemd opened, behind it their FileDescriptorName=.
GIVEN = "given:"
_PIDFD = "pid."
_PIDFD_GETFD = 438
_libc = ctypes.PyDLL(None, use_errno=True)


class Found:
    """A bag to begin with, the life and the owner it belongs to (empty: a new one), and what to say about it."""

    def __init__(self) -> None:
        self.bag = Bag()
        self.life = self.owner = ""
        self.messages: list[str] = []
        self.doors = False  # systemd opened the bus: its paths are not ours to remove
        self.forget: list[str] = []  # names in systemd's store that are of no use any more


def outer_name(name: str) -> str:
    """How a descriptor of the warden's store is called in systemd's (no colon, 255 characters)."""
    return KEPT + quote(name, safe="@+=,!^~ ")[: 255 - len(KEPT)]


def pidfd_name(pid: int) -> str:
    """How a process's pidfd is called in systemd's store."""
    return f"{KEPT}{_PIDFD}{pid}"


def handed_over(environ: MutableMapping[str, str]) -> dict[str, list[int]]:
    """Descriptors that systemd passed, by name (sd_listen_fds_with_names(3)); the variables are removed. They are close-on-exec from now on."""
    count, names = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_FDNAMES", "").split(":")
    if environ.pop("LISTEN_PID", "") != str(os.getpid()) or not count.isdigit():
        return {}
    found: dict[str, list[int]] = {}
    for i in range(int(count)):
        fd = 3 + i
        try:
            os.set_inheritable(fd, False)
        except OSError:
            continue
        found.setdefault(names[i] if i < len(names) else "unknown", []).append(fd)
    return found


def look(runtime_dir: str, given: Mapping[str, list[int]]) -> Found:
    """Everything that can be taken over: by the state file in `runtime_dir`, and of what systemd `given`."""
    found = Found()
    pidfds: dict[int, int] = {}
    for name, fds in given.items():
        if not name.startswith(KEPT):
            for fd in fds:
                door = _door(fd, runtime_dir)
                found.doors = found.doors or bool(door)
                found.bag.store.setdefault(door or GIVEN + name, []).append(fd)
        elif name.startswith(KEPT + _PIDFD):
            number = name.removeprefix(KEPT + _PIDFD)
            pidfds.update({int(number): fd for fd in fds if number.isdigit()})
        else:
            found.bag.store.setdefault(unquote(name.removeprefix(KEPT)), []).extend(fds)
    path = os.path.join(runtime_dir, "state.db")
    if not os.path.exists(path):
        return found
    import sqlite3  # a first start does without

    try:
        meta, rows = _read(path)
    except sqlite3.Error as error:
        found.messages.append(f"cannot read {path}, because {error}; should services of an earlier unitd still run, they are not looked after")
        return found
    if meta.get("boot") == procinfo.boot_id() and meta.get("life"):
        _processes(found, rows, pidfds)
    if any(fd >= 0 for _, _, fd in found.bag.kids):
        found.life, found.owner = meta["life"], meta.get("owner", "")
        alive = len([1 for pid, _, _ in found.bag.kids if procinfo.is_alive(pid)])
        found.messages.append(f"{alive} processes of an earlier unitd run on; taking them over")
    for pid in set(pidfds) - {pid for pid, _, _ in found.bag.kids}:
        found.forget.append(pidfd_name(pid))
        os.close(pidfds[pid])
    return found


def _read(path: str) -> tuple[dict[str, str], list[tuple[str, str, int, str, int]]]:
    import sqlite3

    db = sqlite3.connect(path, isolation_level=None)
    try:
        meta = dict(db.execute("SELECT key, value FROM meta"))
        return meta, list(db.execute("SELECT unit, role, pid, token, start FROM process"))
    finally:
        db.close()


def _processes(found: Found, rows: list[tuple[str, str, int, str, int]], pidfds: Mapping[int, int]) -> None:
    """Those that live, and those that systemd kept a pidfd of: how they ended can still be told."""
    for unit, _role, pid, token, start in rows:
        fd = pidfds.get(pid, -1)
        if fd < 0:
            if not procinfo.is_alive(pid) or procinfo.start_time(pid) != start:
                continue
            try:
                fd = os.pidfd_open(pid)
            except OSError:
                continue
            if procinfo.start_time(pid) != start:  # it ended meanwhile, and another has its number
                os.close(fd)
                continue
        found.bag.kids.append((pid, token, fd))
        _pipes(found.bag, unit, pid)
        for name, listeners in _listeners(pid, fd).items():
            if f"socket:{name}" in found.bag.store:
                close_all(listeners)
            else:
                found.bag.store[f"socket:{name}"] = listeners


def _pipes(bag: Bag, unit: str, pid: int) -> None:
    """Both ends of the pipes that the process writes its output to, where nobody kept them."""
    if f"log:{unit}" in bag.store:
        return
    inodes: list[int] = []
    for kind, number in (("log", 1), ("err", 2)):
        path = f"/proc/{pid}/fd/{number}"
        try:
            info = os.stat(path)
            if not stat.S_ISFIFO(info.st_mode) or info.st_ino in inodes:
                continue
            inodes.append(info.st_ino)
            reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            bag.store[f"{kind}:{unit}"] = [reader, os.open(path, os.O_RDWR | os.O_CLOEXEC)]
        except OSError:
            continue


def _listeners(pid: int, pidfd: int) -> dict[str, list[int]]:
    """Copies of the listening sockets that the process was given, by socket unit: nobody else may have one any more."""
    environ = procinfo.environment(pid)
    names = environ.get("LISTEN_FDNAMES", "").split(":") if environ.get("LISTEN_PID") == str(pid) else []
    found: dict[str, list[int]] = {}
    for number, name in enumerate(names, 3):
        if not name.endswith(".socket"):
            continue
        fd = _libc.syscall(_PIDFD_GETFD, pidfd, number, 0)
        if fd < 0:
            continue  # closed by the process, or not ours to look at
        with socket.socket(fileno=fd) as sock:
            try:
                listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            except OSError:
                continue
            if listens:
                os.set_blocking(fd, False)
                found.setdefault(name, []).append(os.dup(fd))
    return found


def _door(fd: int, runtime_dir: str) -> str:
    """Is it one of the sockets at which unitd itself is spoken to? Its name in the warden's store."""
    try:
        with socket.socket(fileno=os.dup(fd)) as sock:
            at = sock.getsockname() if sock.family == socket.AF_UNIX else ""
    except OSError:
        return ""
    return {os.path.join(runtime_dir, "bus"): "unitd:bus", os.path.join(runtime_dir, "events"): "unitd:events"}.get(at, "")
