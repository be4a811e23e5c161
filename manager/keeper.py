"""The warden's care for the manager: starts it, notices when it crashes or hangs, starts the next. Standard library only."""

from __future__ import annotations

import _socket
import os
import select
import signal
import time

from unitd.manager import patience, stderr, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from unitd.manager.bag import Bag
    from unitd.manager.spawner import Spawner
    from unitd.manager.spec import SpawnSpec

#: Signals that mean: stop all services and leave. The last is what a container manager sends to an init.
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGPWR, signal.SIGRTMIN + 3)
_LAST_WORDS = 1.0  # from SIGABRT, which has it print where it hangs, to SIGKILL
_GOODBYE = 5.0  # for the logger to write what it has


def say(message: str) -> None:
    """One line of the warden's own. Where nobody reads it is lost: the warden waits for nobody."""
    try:
        stderr.write(f"unitd: warden: {message}\n".encode("utf-8", "replace"))
    except OSError:
        return


class Keeper:
    """The manager of the moment, and the conversation with it. Wakes the loop up only for what is in `due`."""

    def __init__(self, command: Sequence[str], spawner: Spawner, epoll: select.epoll, contents: Bag) -> None:
        """`command` starts a manager. The conversation's socket and the manager's timer are registered in `epoll`."""
        self.command, self.spawner, self.epoll = list(command), spawner, epoll
        self.pid = 0
        self.channel: wire.Channel | None = None
        self.live = False  # it is told news as they come
        self.greeted = False  # it said HELLO at all
        self.ever_live = bool(contents.kids)
        self.quit_code: int | None = None
        self.waiting = contents.signals  # signals for a manager that is not ready yet
        self.stop_signal = contents.stop_signal
        self.born = 0.0
        self.crashes = 0
        self.ready = False  # it has begun to serve
        self.stillborn = 0  # how many in a row failed before that
        self.timer = -1  # goes off when it stays in one turn of its loop for too long
        self.limit = patience.LIMIT
        self.due: dict[str, float] = {}  # what to do when: start, begin, stopped, answer, kill, leave
        self._writable = False
        self.spare: tuple[int, _socket.socket] | None = None  # pid of a manager in reserve, and our end of its conversation

    # -- life

    def start(self) -> None:
        """Have a manager: the one in reserve, or a new one. Or plan the next attempt."""
        self.born = time.monotonic()
        pid, ours = self.spare if self.spare is not None else self._spawn()
        if ours is None:
            self.due["start"] = self.born + patience.LONGEST_PAUSE
            return
        self.pid, self.live, self.greeted, self.ready = pid, False, False, False
        limit = patience.begin_limit(os.environ.get(patience.HANG, ""), self.stillborn)
        if limit != float("inf"):
            self.due["begin"] = self.born + limit
        self.channel, self._writable = wire.Channel(ours), False
        self.epoll.register(ours.fileno(), select.EPOLLIN)
        if self.spare is not None:
            self.spare = None
            self.channel.send(wire.WAKE, self.stillborn)

    def _spawn(self, reserve: bool = False) -> tuple[int, _socket.socket | None]:
        """(pid, our end of the conversation) of a new manager; (0, None) if there cannot be one now."""
        try:
            ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        except OSError as error:
            say(f"cannot start the manager, because {error.strerror}; trying again")
            return 0, None
        wire.Channel(theirs)  # for its buffer sizes
        theirs.setblocking(True)
        own = ["UNITD_WARDEN_FD=3", f"UNITD_STILLBORN={self.stillborn}", f"{patience.RESERVE}={int(reserve)}"]
        spec: SpawnSpec = {
            "id": "",
            "path": self.command[0],
            "search_path": os.environ.get("PATH", "/usr/bin:/bin").split(":"),
            "argv": self.command,
            "env": [f"{k}={v}" for k, v in os.environ.items()] + own,
            "stdin": 1,
            "stdout": 2,
            "stderr": 3,
            "listen": [0],
        }
        if "UNITD_SYSTEMD" in os.environ:
            spec["pdeathsig"] = signal.SIGKILL  # systemd starts both anew
        [(pid, problem, fd)] = self.spawner.spawn([spec], [theirs.fileno(), 0, 1, 2])
        theirs.close()
        if fd >= 0:
            os.close(fd)
        if not pid:
            ours.close()
            say(f"cannot start the manager, because {os.strerror(problem)}; trying again")
            return 0, None
        return pid, ours

    # -- the one in reserve

    def reserve(self) -> None:
        """Start a manager that waits until it is needed, if that is wanted."""
        if self.spare is None and self.quit_code is None and not self.stop_signal:
            pid, ours = self._spawn(reserve=True)
            if ours is not None:
                self.spare = pid, ours

    def drop_reserve(self) -> None:
        """It is not needed any more, or it is not what is on disk."""
        self.due.pop("reserve", None)
        if self.spare is not None:
            os.kill(self.spare[0], signal.SIGKILL)
            self.spare[1].close()
            self.spare = None

    def is_reserve(self, pid: int) -> bool:
        """Was the process that just ended the one in reserve? Another follows later."""
        if self.spare is None or self.spare[0] != pid:
            return False
        self.spare[1].close()
        self.spare = None
        self.due["reserve"] = time.monotonic() + patience.LONGEST_PAUSE
        return True

    def drop_channel(self) -> None:
        """The conversation is over, and with it all watching."""
        if self.channel is not None:
            self.epoll.unregister(self.channel.sock.fileno())
            self.channel.close()
            self.channel, self.live = None, False
        if self.timer >= 0:
            self.epoll.unregister(self.timer)
            os.close(self.timer)
            self.timer = -1
        for what in ("begin", "stopped", "answer", "kill"):
            self.due.pop(what, None)

    def ended(self, status: int, error: tuple[int, int, str] | None, alone: bool) -> None:
        """The manager is dead: plan the next one, or the end (`quit_code`). `alone`: no service is there that would need one."""
        self.pid = 0
        code = os.waitstatus_to_exitcode(status)
        if self.quit_code is not None:
            self.drop_reserve()
            self.due["leave"] = time.monotonic() + _GOODBYE
            return
        if error is not None:
            say(f"cannot run the manager {self.command[0]}, because {error[2]}: {os.strerror(error[1])}")
        if not self.greeted and self.stop_signal:
            self.quit_code = code if code > 0 else 1
        elif code > 0 and not self.ever_live and alone:
            self.quit_code = code  # it cannot even begin: whoever started us should see that
        else:
            now = time.monotonic()
            self.crashes = patience.crashes(self.crashes, code, now - self.born, self.ready)
            self.stillborn = 0 if self.ready else self.stillborn + patience.is_own_fault(code)
            pause = patience.pause(self.crashes)
            if pause:
                say(f"the manager has crashed {self.crashes} times in a row, the last time with {patience.words(code)}; the next one comes in {pause:g} s")
            self.due["start"] = now + pause

    # -- talk

    def send(self, kind: str, body: object, fds: Sequence[int] = (), *, consume: bool = False) -> None:
        """Say something, to nobody if there is none."""
        if self.channel is not None:
            self.channel.send(kind, body, fds, consume=consume)
        elif consume:
            for fd in fds:
                os.close(fd)

    def watch_writable(self) -> None:
        """Wake up for room in the socket only while something waits for it."""
        if self.channel is not None and self.channel.pending != self._writable:
            self._writable = self.channel.pending
            self.epoll.modify(self.channel.sock.fileno(), select.EPOLLIN | (select.EPOLLOUT if self._writable else 0))

    def greet(self) -> None:
        """It knows everything now: pass on the signals that came meanwhile."""
        self.live = self.greeted = self.ever_live = True
        waiting, self.waiting = self.waiting, []
        if self.stop_signal and self.stop_signal not in waiting:
            waiting.append(self.stop_signal)  # an earlier manager died while stopping
        for number in waiting:
            self.forward(number)

    def forward(self, number: int) -> None:
        """A signal that is meant for the manager."""
        if number in STOPS:
            self.stop_signal = number
        if self.greeted and self.pid:
            os.kill(self.pid, signal.SIGTERM if number in STOPS else number)  # not reaped yet, so it is still ours
        elif number not in self.waiting:
            self.waiting.append(number)

    # -- does it hang?

    def watch(self, limit: float | None, fds: list[int]) -> None:
        """The manager is ready. With a timer, which is set for `limit` seconds while it is busy (`heartbeat`), it is to be watched."""
        self.ready = True
        self.due.pop("begin", None)
        if os.environ.get(patience.STANDBY) == "1" and self.spare is None:
            self.due.setdefault("reserve", time.monotonic() + patience.RESERVE_AFTER)
        if limit is not None and fds and self.timer < 0:
            self.timer, self.limit = fds.pop(0), limit
            self.epoll.register(self.timer, select.EPOLLIN)

    def expect_answer(self, again: bool = False) -> None:
        """Exits were reported: they are to be acknowledged in time, by a manager that wants to be watched."""
        if self.timer < 0:
            return
        if again or "answer" not in self.due:
            self.due["answer"] = time.monotonic() + self.limit

    def stopped(self) -> None:
        """It got SIGSTOP or the like."""
        if self.timer >= 0 or not self.ready:
            self.due.setdefault("stopped", time.monotonic() + self.limit)

    def look(self, what: str) -> None:
        """The time of something in `due` has come."""
        if what == "start":
            self.start()
        elif what == "reserve":
            self.reserve()
        elif not self.pid:
            return
        elif what == "kill":
            os.kill(self.pid, signal.SIGKILL)
        elif what == "begin":
            self._replace(f"it is not ready after {time.monotonic() - self.born:.0f} s", _LAST_WORDS)
        elif what == "stopped" and patience.is_stopped(self.pid):
            self._replace(f"it is stopped for more than {self.limit:g} s", 0.0)
        elif what == "answer":
            self._replace(f"it takes no notice of what happens for more than {self.limit:g} s", _LAST_WORDS)

    def timer_fired(self) -> None:
        """The manager is in one turn of its loop for too long, or was until just now."""
        try:
            os.read(self.timer, 8)
        except BlockingIOError:
            return
        if self.pid:
            self._replace(f"it is busy with one thing for more than {self.limit:g} s", _LAST_WORDS)

    def _replace(self, reason: str, mercy: float) -> None:
        say(f"the manager hangs: {reason}; replacing it")
        if mercy:
            os.kill(self.pid, signal.SIGABRT)
        self.due["kill"] = time.monotonic() + mercy
