"""The files of one unit's log: opened late, repaired, written by splice, rotated. The logger's edge to the file system.

"Announce, then move": a record is written before the bytes are spliced, so that a killed logger loses nothing and leaves no byte without
its stream. Its length is the next record's offset, or the file's size.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from unitd.bus.lognames import MANAGER, RECORD, parts, rotated
from unitd.manager import logmarks, rolling
from unitd.manager.backstage import Backstage
from unitd.manager.rolling import Limits, Meter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from unitd.manager.tee import Peek

RETRY_OPEN = 1.0
_REGULAR = 0o100000


def recover_index(fd: int, size: int) -> int:
    """Cut an index to whole records that have data in a file of `size` bytes; where the next record goes."""
    end = os.fstat(fd).st_size
    end -= end % RECORD.size
    while end and RECORD.unpack(os.pread(fd, RECORD.size, end - RECORD.size))[1] >= size:
        end -= RECORD.size
    os.ftruncate(fd, end)
    return end


class Busy(Exception):
    """Another logger still has the directory."""


#: Bytes in one splice below which the pipe was about empty: to go on would be to run after a writer of single lines.
CAUGHT_UP = 16384


class UnitLog:
    """The files of one unit. No method but `open` raises: what cannot be written is taken from the pipe, counted and dropped."""

    def __init__(self, name: str, directory: str, backstage: Backstage, sync: bool = True) -> None:
        """`sync`: rotated files are brought to the disk."""
        self.name, self.directory, self.backstage, self.sync = name, directory, backstage, sync
        self.limits = Limits()
        self.meter: Meter | None = None
        self.mode, self.gid, self.identifier = 0o640, -1, ""
        self.begin: tuple[int, str] | None = None  # (µs, ID) of an invocation that is not on file yet
        self.pipes: dict[int, int] = {}  # fd -> stream
        self.capacity: dict[int, int] = {}  # fd -> bytes
        self.last: dict[int, int] = {}  # fd -> bytes of the last turn
        self.lock = self.fd = self.idx = -1
        self.inode = self.size = self.idx_at = 0
        self.begun = self.last_key = self.key = 0
        self.announced = False
        self.stepped = False  # the clock was set back, and the log says so
        self.lost = self.gap = 0  # bytes: not yet reported; not yet noted in the file
        self.why = ""
        self.retry_at = 0.0
        self.patient_until = -1.0  # how long to wait for another logger: -1 not asked yet
        self.unsynced = False

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    # -- files

    def open(self, patient: bool = True) -> None:
        """Open or make the files, repairing what a killed logger left. Raises OSError; Busy if `patient` and another logger is there."""
        if self.lock < 0:
            self._make_directory()
            self.lock = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if patient:
                    self.close()
                    raise Busy from None
            except OSError:
                pass  # a file system without locks
        try:
            self._finish_rotation()
            self.fd = self._open("current", os.O_WRONLY)
            self.idx = self._open("current.idx", os.O_RDWR)
            found = os.fstat(self.fd)
            self.inode, self.size = found.st_ino, found.st_size
            self.idx_at = recover_index(self.idx, self.size)
            self._read_keys()
            logmarks.set_text(self.path("identifier"), self.identifier.encode(), self.mode, self.gid)
        except OSError:
            self.close()
            raise
        if self.limits.compress != "no" and any(os.path.exists(self.path(f"@{key}.log")) for key in rotated(self.directory)):
            self.backstage.press(self.directory, self.limits.compress)

    def _make_directory(self) -> None:
        """The directory and its files are read by its group: the service's own, or that of log readers."""
        try:
            os.mkdir(self.directory, 0o750)
        except FileNotFoundError:
            os.makedirs(self.directory, 0o755)
            os.chmod(self.directory, 0o750)
        except FileExistsError:
            return
        if self.gid >= 0:
            os.chown(self.directory, -1, self.gid)

    def _open(self, name: str, access: int) -> int:
        flags = access | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            fd = os.open(self.path(name), flags | os.O_CREAT | os.O_EXCL, self.mode)
            if self.gid >= 0:
                os.fchown(fd, -1, self.gid)
        except FileExistsError:
            fd = os.open(self.path(name), flags)
        if os.fstat(fd).st_mode & 0o170000 != _REGULAR:
            os.close(fd)
            raise OSError(errno.EINVAL, "not a regular file", self.path(name))
        return fd

    def _finish_rotation(self) -> None:
        """A logger killed between the two renames has moved the index only."""
        if not os.path.exists(self.path("current.idx")):
            known = rotated(self.directory)
            for name in os.listdir(self.directory):
                if name.startswith("@") and name.endswith(".idx") and name[1:-4].isdigit() and int(name[1:-4]) not in known:
                    if os.path.exists(self.path("current")):
                        os.rename(self.path("current"), self.path(name[:-4] + ".log"))

    def _read_keys(self) -> None:
        """The times of the file's first record and of the last one ever."""
        if self.idx_at:
            self.begun = RECORD.unpack(os.pread(self.idx, RECORD.size, 0))[0]
            self.last_key = max(self.last_key, RECORD.unpack(os.pread(self.idx, RECORD.size, self.idx_at - RECORD.size))[0])
            return
        self.begun = 0
        for newest in rotated(self.directory)[-1:]:
            self.last_key = max(self.last_key, newest)
            try:
                with open(self.path(f"@{newest}.idx"), "rb", buffering=0) as file:
                    end = os.fstat(file.fileno()).st_size // RECORD.size * RECORD.size
                    if end:
                        self.last_key = max(self.last_key, RECORD.unpack(os.pread(file.fileno(), RECORD.size, end - RECORD.size))[0])
            except FileNotFoundError:
                continue

    def write_invocation(self) -> None:
        """Note on file that another invocation has begun, if one has."""
        if self.begin is not None:
            try:
                logmarks.add_invocation(self.path("invocations"), *self.begin, self.mode, self.gid)
                self.begin = None
            except OSError:
                return  # the bytes are worth more than to know where they begin

    def since(self, at: int) -> int:
        """How many bytes were written since `at` (µs), as far as the last records tell."""
        if self.idx < 0:
            return 0
        count = min(self.idx_at // RECORD.size, 64)
        records = RECORD.iter_unpack(os.pread(self.idx, count * RECORD.size, self.idx_at - count * RECORD.size))
        return self.size - min((offset for key, offset, _ in records if key >= at), default=self.size)

    def close(self) -> None:
        """Close the files, not the pipes."""
        for fd in (self.fd, self.idx, self.lock):
            if fd >= 0:
                os.close(fd)
        self.fd = self.idx = self.lock = -1

    def ready(self) -> bool:
        """Make sure that `current` is open and still is what readers find under that name. Raises Busy while another logger has it."""
        try:
            if self.fd >= 0:
                try:
                    found = os.stat(self.path("current"), follow_symlinks=False)
                    same = found.st_ino == self.inode
                except FileNotFoundError:
                    same = False
                if same and found.st_size >= self.size and os.fstat(self.idx).st_nlink:
                    return True
                self.close()  # removed, replaced or cut by somebody else
            now = time.monotonic()
            if now < self.retry_at:
                return False
            self.retry_at = now + RETRY_OPEN
            if self.patient_until < 0:
                self.patient_until = now + 5.0
            try:
                self.open(patient=now < self.patient_until)
            except Busy:
                self.retry_at = 0.0
                raise
            self.patient_until = now  # who comes later does not have it by right
            self.retry_at = 0.0
            return True
        except OSError as error:
            self.why = error.strerror or str(error)
            return False

    # -- rotation

    def age(self) -> int:
        """When (µs) the current file gets too old, 0 if never."""
        return self.begun + int(self.limits.max_age * rolling.SECOND) if self.fd >= 0 and self.size and self.limits.max_age else 0

    def rotate_if_due(self) -> None:
        if self.fd >= 0 and rolling.due(self.size, self.begun, time.time_ns() // 1000, self.limits):
            self.rotate()

    def rotate(self) -> None:
        """Give `current` its own name and begin anew; remove the files that are too many or too old."""
        try:
            known = rotated(self.directory)
            key = rolling.next_key(self.begun or time.time_ns() // 1000, known[-1] if known else 0, bool(known))
            # Index first: if we are killed in between, `open` knows what to do.
            try:
                os.rename(self.path("current.idx"), self.path(f"@{key}.idx"))
            except FileNotFoundError:
                pass
            os.rename(self.path("current"), self.path(f"@{key}.log"))
            for fd in (self.fd, self.idx):
                if self.sync:
                    self.backstage.sync(fd)
                else:
                    self.backstage.close(fd)
            self.fd = self.idx = -1
            files = [*known, key]
            # A file's last line is older than the first of the next.
            ages = list(zip(files, [*files[1:], self.last_key], strict=True))
            gone = rolling.doomed(ages, time.time_ns() // 1000, self.limits)
            if gone:
                self.backstage.remove([self.path(name) for old in gone for name in parts(old)])
            if self.limits.compress != "no" and key not in gone:
                self.backstage.press(self.directory, self.limits.compress)
        except OSError as error:
            self.why = error.strerror or str(error)
            self.close()
        self.ready()

    # -- bytes

    def announce(self, stream: int) -> None:
        """Say what comes next; if nothing comes, the next announcement takes its place."""
        clock = time.time_ns() // 1000
        self.key = rolling.next_key(clock, self.last_key, self.idx_at == 0)
        record = RECORD.pack(self.key, self.size, stream | (self.key - clock) << 8)
        try:
            self.announced = os.pwrite(self.idx, record, self.idx_at) == len(record)
        except OSError:
            self.announced = False  # the bytes are worth more than their time

    def moved(self, size: int) -> None:
        """So many bytes came."""
        if size:
            self.size += size
            self.unsynced = True
            if self.announced:
                if self.idx_at == 0:
                    self.begun = self.key
                self.idx_at += RECORD.size
                self.last_key = self.key

    def note(self, text: str) -> bool:
        """Append a line of unitd's own."""
        return self.ready() and self._note(text)

    def _note(self, text: str) -> bool:
        line = text.replace("\n", " ").encode("utf-8", "replace") + b"\n"
        self.announce(MANAGER)
        try:
            if os.pwrite(self.fd, line, self.size) == len(line):
                self.moved(len(line))
                return True
            os.ftruncate(self.fd, self.size)
        except OSError as error:
            self.why = error.strerror or str(error)
        return False

    def drain(self, pipe: int, limit: int, peek: Peek | None = None) -> int:
        """Move up to about `limit` bytes that are in the pipe now; how many were taken out of it. Raises Busy.

        `peek` is needed where there is a rate limit.
        """
        if not self.ready():
            return self.discard(pipe, limit)
        if self.gap:
            if not self._note(f"unitd: {self.gap} bytes of output were lost here: {self.why}"):
                return self.discard(pipe, limit)
            self.gap = 0
        self._look_at_clock()
        self.write_invocation()
        if self.meter is not None and peek is not None:
            total = self._drain_metered(pipe, limit, self.meter, peek)
        else:
            total = self._move(pipe, min(limit, rolling.room(self.size, self.limits)))
        self.last[pipe] = total
        self.rotate_if_due()
        return total

    def _look_at_clock(self) -> None:
        back = self.last_key - time.time_ns() // 1000
        if back > rolling.SECOND and not self.stepped:
            self.stepped = True
            self._note(f"unitd: the clock was set back by {back // rolling.SECOND} s; lines stay in the order in which they were written")
        elif back <= 0:
            self.stepped = False

    def _move(self, pipe: int, limit: int) -> int:
        """Splice; what does not go into the file is dropped and counted. How many bytes left the pipe."""
        self.announce(self.pipes[pipe])
        total, failed = 0, False
        while total < limit:
            try:
                count = self._splice(pipe, limit - total, self.size + total)
            except BlockingIOError:
                break
            except OSError as error:
                self.why, failed = error.strerror or str(error), True
                break
            total += count
            if count < CAUGHT_UP:
                break
        self.moved(total)
        return total + self.discard(pipe, limit - total) if failed else total

    def _splice(self, pipe: int, count: int, offset: int) -> int:
        try:
            return os.splice(pipe, self.fd, count, offset_dst=offset, flags=os.SPLICE_F_NONBLOCK)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        # This file system has no splice.
        data = os.read(pipe, min(count, 65536))
        written = 0
        try:
            written = os.pwrite(self.fd, data, offset) if data else 0
        finally:
            self.lost += len(data) - written
            self.gap += len(data) - written
        return written

    def _drain_metered(self, pipe: int, limit: int, meter: Meter, peek: Peek) -> int:
        """Look first, then move what is allowed and drop the rest: a killed logger still loses and doubles nothing."""
        self.tell_suppressed(meter)
        total = 0
        while total < limit:
            data = peek.look(pipe, limit - total)
            if not data:
                break
            for keep, length in meter.cut(self.pipes[pipe], data):
                moved = 0
                while moved < length:
                    count = self._move(pipe, length - moved) if keep else self._drop(pipe, length - moved)
                    if count == 0:
                        return total
                    moved += count
                total += length
        return total

    def tell_suppressed(self, meter: Meter) -> None:
        """A new interval: say what did not pass in the old one."""
        told = meter.turn(time.monotonic())
        if told and self.fd >= 0 and self.ready():
            self._note(f"unitd: suppressed {told} lines, because more than {meter.burst} came in {meter.interval:g} s")

    @staticmethod
    def _drop(pipe: int, limit: int) -> int:
        try:
            return len(os.read(pipe, min(limit, 65536)))
        except OSError:
            return 0

    def discard(self, pipe: int, limit: int) -> int:
        """Take bytes out of the pipe that cannot be kept, so that the service goes on."""
        total = 0
        while total < limit and (count := self._drop(pipe, limit - total)):
            total += count
        self.lost += total
        self.gap += total
        return total
