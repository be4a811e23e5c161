"""One cgroup2 directory per unit, where the machine lets us: emptiness, listing and killing without gaps (cgroups(7))."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence


class CgroupTree:
    """The part of the cgroup2 tree that is this manager's: BASE/unitd-PID/UNIT, PID being of the first warden.

    Controllers are enabled by `controllers`, when the first unit needs one.
    """

    def __init__(self, base: str, mount: str, root: str) -> None:
        """`base` is our directory, below `mount`, where the hierarchy's `root` is mounted."""
        self.base, self._mount, self._root = base, mount, root

    @classmethod
    def probe(cls, owner: int | None = None) -> CgroupTree | None:
        """The tree for the first warden `owner` (default: our parent), or None where there is none we own and may write.

        Under systemd only a delegated cgroup is ours. UNITD_CGROUP=off in the environment says no.
        """
        if os.environ.get("UNITD_CGROUP") == "off":
            return None
        found = _mounted()
        own = _own_path("self")
        if found is None or own is None:
            return None
        mount, root = found
        here = _below(mount, root, own)
        if here is None or (os.path.isdir("/run/systemd/system") and not _delegated(here)):
            return None
        if not os.access(f"{here}/cgroup.procs", os.W_OK):
            return None
        pid = os.getppid() if owner is None else owner
        tree = cls(f"{here}/unitd-{pid}", mount, root)
        tree._sweep(here)
        try:
            os.makedirs(tree.base, exist_ok=True)
            probe = tree.make("probe")
            usable = os.path.exists(f"{probe}/cgroup.procs") and os.path.exists(f"{probe}/cgroup.events")
            tree.remove(probe)
        except OSError:
            return None
        return tree if usable else None

    def _sweep(self, here: str) -> None:
        """Remove what wardens that are gone left behind, if nothing lives there."""
        for entry in [e for e in folders(here) if e != self.base]:
            name = os.path.basename(entry)
            if name.startswith("unitd-") and name[6:].isdigit() and not os.path.exists(f"/proc/{name[6:]}"):
                self.remove(entry)

    def path(self, unit_name: str) -> str:
        """The unit's directory, whether it exists or not."""
        return f"{self.base}/{unit_name}"

    def make(self, unit_name: str, slices: Sequence[str] = ()) -> str:
        """The unit's directory, made if need be, below those of `slices` from the outermost in. Raises OSError."""
        path = "/".join((self.base, *slices, unit_name))
        try:
            os.mkdir(path)
        except FileExistsError:
            return path
        except FileNotFoundError:
            os.makedirs(path, exist_ok=True)
        return path

    def kill(self, path: str) -> None:
        """SIGKILL for every process in it, and for what they forked meanwhile, until nobody is left who has not had it.

        Not by cgroup.kill: some kernels since 6.10 then also kill whatever clone3 puts into the directory later, ExecStopPost= first of all
        (they compare its count of kills with that of the parent's cgroup).
        """
        had: set[int] = set()
        while new := set(self.pids(path)) - had:
            for pid in new:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            had |= new

    def populated(self, path: str) -> bool:
        """Does any process live in it or below?"""
        return b"populated 1" in contents(f"{path}/cgroup.events")

    def pids(self, path: str) -> list[int]:
        """The processes in it and below."""
        found = [int(word) for word in contents(f"{path}/cgroup.procs").split()]
        for folder in folders(path):
            found += self.pids(folder)
        return [pid for pid in found if pid > 0]

    def remove(self, path: str) -> bool:
        """Remove it with all below; False if something lives there still."""
        for folder in folders(path):
            self.remove(folder)
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def events_fd(self, path: str) -> int:
        """A descriptor of cgroup.events: POLLPRI tells of a change, a read from 0 re-arms it. -1 if there is none."""
        try:
            return os.open(f"{path}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return -1

    def unit_of(self, pid: int) -> str | None:
        """The unit in whose directory the process lives."""
        own = _own_path(str(pid))
        here = _below(self._mount, self._root, own) if own else None
        if here is None or not here.startswith(self.base + "/"):
            return None
        return next((part for part in here[len(self.base) + 1 :].split("/") if not part.endswith(".slice")), None)


def contents(path: str) -> bytes:
    """What is in a file; nothing where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def folders(path: str) -> list[str]:
    """The directories directly in `path`; none where it cannot be read."""
    try:
        with os.scandir(path) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _mounted() -> tuple[str, str] | None:
    """(mount point, root of the mount) of the cgroup2 hierarchy."""
    for line in contents("/proc/self/mountinfo").decode("utf-8", "surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        if right.startswith("cgroup2 "):
            fields = left.split()
            return fields[4], fields[3]
    return None


def _own_path(pid: str) -> str | None:
    for line in contents(f"/proc/{pid}/cgroup").decode("utf-8", "surrogateescape").splitlines():
        if line.startswith("0::"):
            return line[3:].removesuffix(" (deleted)")
    return None


def _below(mount: str, root: str, path: str) -> str | None:
    """Where the cgroup `path` is in the file system."""
    if "/.." in path:
        return None
    if root != "/":
        if path != root and not path.startswith(root + "/"):
            return None
        path = path[len(root) :]
    return (mount + path).rstrip("/")


def _delegated(path: str) -> bool:
    for name in ("user.delegate", "trusted.delegate"):
        try:
            if os.getxattr(path, name) == b"1":
                return True
        except OSError:
            continue
    return False
