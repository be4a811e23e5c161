"""The warden: forks, reaps, holds descriptors, respawns the manager. Standard library only, single-threaded, the one place that waits.

Started as `python -I -S warden.py --package-dir DIR -- MANAGER...`. It never decides about services: it reports, and keeps what the
manager would lose by dying. Exits stay queued until they are acknowledged; named descriptors are handed to every new manager.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":  # -I -S: nothing but the standard library and our own package
    sys.path.insert(0, sys.argv[2])

import gc
import resource
import select
import signal
import socket
import time
from collections import deque
from typing import Any

from unitd.manager import child, spawner, wire

#: A manager that dies this fast after its start is not respawned at once (seconds), and the longest pause.
FAST, LONGEST = 1.0, 5.0
#: The soft limit of open files that services start with, as systemd's (systemd-system.conf(5), DefaultLimitNOFILE=).
SOFT_NOFILE = 1024


class Warden:
    """All state of the process."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.kids: dict[int, str] = {}
        self.pending: list[list[Any]] = []  # [seq, pid, id, wait status]
        self.sequence = 0
        self.store: dict[str, list[int]] = {}
        self.out: deque[tuple[bytes, list[int], bool]] = deque()
        self.manager = 0
        self.manager_since = 0.0
        self.pause = 0.0
        self.quit_code: int | None = None
        self.greeted = False
        self.ready = False
        self.sock: socket.socket | None = None
        self.poll = select.epoll()
        self.error_read, self.error_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.soft_nofile = min(soft, SOFT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        wake, self.wake = socket.socketpair(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.wake_read = wake
        self.poll.register(wake.fileno(), select.EPOLLIN)
        signal.set_wakeup_fd(self.wake.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, lambda _n, _f: None)

    # -- the loop

    def run(self) -> int:
        """Serve until the manager says QUIT and is gone; its exit code."""
        spawner.become_subreaper()
        self.start_manager()
        gc.collect()
        gc.freeze()
        timeout = -1.0
        while True:
            for fd, events in self.poll.poll(timeout):
                if fd == self.wake_read.fileno():
                    self.signals()
                elif self.sock is not None and fd == self.sock.fileno():
                    if events & select.EPOLLOUT:
                        self.flush()
                    if events & (select.EPOLLIN | select.EPOLLHUP):
                        self.messages()
            if self.manager == 0:
                if self.quit_code is not None:
                    return self.quit_code
                wait = self.manager_since + self.pause - time.monotonic()
                if wait <= 0:
                    self.start_manager()
                    timeout = -1.0
                else:
                    timeout = wait
            else:
                timeout = -1.0

    def signals(self) -> None:
        """Children that ended, and signals that go on to the manager."""
        numbers = set(self.wake_read.recv(4096))
        for number in numbers - {signal.SIGCHLD}:
            if self.manager:
                os.kill(self.manager, number)
        self.reap()

    def reap(self) -> None:
        """Wait for everything that is there; one message for all of it."""
        exits: list[list[Any]] = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == self.manager:
                self.manager_ended(status)
                continue
            self.sequence += 1
            exits.append([self.sequence, pid, self.kids.pop(pid, ""), status])
        errors = self.child_errors()
        if exits:
            self.pending += exits
            if self.ready:
                names = {pid: name for _, pid, name, _ in exits}
                for pid, code, number, step in errors:
                    self.send(wire.encode(wire.CHILD_ERROR, [names.get(pid, self.kids.get(pid, "")), code, number, step]))
                self.send(wire.encode(wire.EXIT, exits))

    def child_errors(self) -> list[tuple[int, int, int, str]]:
        """What children wrote about failing steps."""
        found: list[tuple[int, int, int, str]] = []
        while True:
            try:
                data = os.read(self.error_read, child.ERROR.size * 100)
            except BlockingIOError:
                return found
            for offset in range(0, len(data), child.ERROR.size):
                pid, code, number, step = child.ERROR.unpack_from(data, offset)
                found.append((pid, code, number, step.rstrip(b"\0").decode()))

    # -- the manager

    def start_manager(self) -> None:
        """Fork and exec a manager with a fresh conversation."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        wire.widen(ours)
        wire.widen(theirs)
        pid = os.fork()
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
                    signal.signal(number, signal.SIG_DFL)
                theirs.setblocking(True)
                os.set_inheritable(theirs.fileno(), True)
                os.environ["UNITD_WARDEN_FD"] = str(theirs.fileno())
                os.execv(self.command[0], self.command)
            finally:
                os._exit(127)
        theirs.close()
        self.manager, self.manager_since, self.sock, self.ready = pid, time.monotonic(), ours, False
        self.poll.register(ours.fileno(), select.EPOLLIN)

    def manager_ended(self, status: int) -> None:
        """Forget the conversation; the services and their descriptors stay."""
        lived = time.monotonic() - self.manager_since
        self.manager = 0
        if self.sock is not None:
            self.messages()  # a QUIT may still be unread
            if self.sock is not None:
                self.poll.unregister(self.sock.fileno())
                self.sock.close()
        self.sock, self.ready = None, False
        for _data, fds, owned in self.out:
            if owned:
                spawner.close_all(fds)
        self.out.clear()
        self.pause = min(LONGEST, (self.pause * 2) or 0.1) if lived < FAST else 0.0
        if self.quit_code is None and not self.greeted:
            self.quit_code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1  # it never came up: nothing to keep for another
        if self.quit_code is None:
            print(f"unitd: the manager ended ({describe(status)}); starting another, services run on", file=sys.stderr, flush=True)

    # -- messages

    def send(self, data: bytes, fds: list[int] | None = None, owned: bool = False) -> None:
        """Queue a message and send what goes; `owned` descriptors are closed afterwards."""
        self.out.append((data, fds or [], owned))
        self.flush()

    def flush(self) -> None:
        while self.out and self.sock is not None:
            data, fds, owned = self.out[0]
            try:
                if not wire.send(self.sock, data, fds):
                    break
            except OSError:
                return  # its end is near: SIGCHLD follows
            self.out.popleft()
            if owned:
                spawner.close_all(fds)
        if self.sock is not None:
            self.poll.modify(self.sock.fileno(), select.EPOLLIN | (select.EPOLLOUT if self.out else 0))

    def messages(self) -> None:
        """Everything the manager has said."""
        while self.sock is not None:
            message = wire.receive(self.sock)
            if message is None:
                return
            data, fds = message
            if not data:
                self.poll.unregister(self.sock.fileno())
                self.sock.close()
                self.sock = None
                return
            kind, body = wire.decode(data)
            if kind == wire.SPAWN:
                self.spawn(body, fds)
                spawner.close_all(fds)
            elif kind == wire.ACK:
                self.pending = [e for e in self.pending if e[0] > body]
            elif kind == wire.STORE:
                spawner.close_all(self.store.pop(body, []))
                self.store[body] = fds
            elif kind == wire.DROP:
                spawner.close_all(self.store.pop(body, []))
            elif kind == wire.HELLO:
                self.snapshot()
            elif kind == wire.QUIT:
                self.quit_code = int(body)

    def snapshot(self) -> None:
        """KIDS with pidfds, exits nobody acknowledged, the store, GO. None of these children is reaped yet, so no pid has a new owner."""
        self.ready = self.greeted = True
        kids = list(self.kids.items())
        for i in range(0, len(kids), wire.MAX_FDS):
            part = kids[i : i + wire.MAX_FDS]
            self.send(wire.encode(wire.KIDS, part), [os.pidfd_open(pid) for pid, _ in part], owned=True)
        for i in range(0, len(self.pending), 500):
            self.send(wire.encode(wire.EXIT, self.pending[i : i + 500]))
        for name, fds in self.store.items():
            self.send(wire.encode(wire.STORED, name), list(fds))
        self.send(wire.encode(wire.GO, None))

    def spawn(self, body: dict[str, Any], fds: list[int]) -> None:
        """Make the children of one request; the answer goes out before any exit of theirs."""
        made: list[list[Any]] = []
        pidfds: list[int] = []
        common = body["env"]
        for spec in body["specs"]:
            spec["env"] = common + spec["env"]
            try:
                pid, pidfd = spawner.spawn(spec, fds, self.error_write, self.soft_nofile)
            except OSError as error:
                made.append([spec["id"], 0, error.errno or 11])
                continue
            self.kids[pid] = spec["id"]
            made.append([spec["id"], pid, 0])
            pidfds.append(pidfd)
        self.send(wire.encode(wire.SPAWNED, made), pidfds, owned=True)


def describe(status: int) -> str:
    """A wait status in words."""
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"exit status {os.WEXITSTATUS(status)}"


def main() -> int:
    """Entry point."""
    os.environ.pop("UNITD_LOCK_FD", None)
    for entry in os.listdir("/proc/self/fd"):  # the lock, and whatever the caller left open: services shall not see it
        if int(entry) > 2:
            try:
                os.set_inheritable(int(entry), False)
            except OSError:
                continue
    spawner.set_name("unitd")
    return Warden(sys.argv[sys.argv.index("--") + 1 :]).run()


if __name__ == "__main__":
    sys.exit(main())
