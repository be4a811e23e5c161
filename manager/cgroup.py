"""One cgroup2 directory per unit, where unitd owns a tree (cgroups(7)). Everywhere else `probe` says None."""

from __future__ import annotations

import os


class CgroupTree:
    """A writable cgroup2 directory below which units get theirs."""

    def __init__(self, root: str) -> None:
        self.root = root

    @classmethod
    def probe(cls) -> CgroupTree | None:
        """The tree below our own cgroup, if we may make groups and move processes there; UNITD_CGROUP=off says no."""
        if os.environ.get("UNITD_CGROUP") == "off":
            return None
        mount = next((m for m in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified") if os.path.exists(f"{m}/cgroup.controllers")), None)
        if mount is None:
            return None
        try:
            with open("/proc/self/cgroup", encoding="ascii") as file:
                own = next(line.strip()[3:] for line in file if line.startswith("0::"))
        except (OSError, StopIteration):
            return None
        if os.path.isdir("/run/systemd/system") and not _delegated(mount + own):
            return None  # the tree is systemd's unless it gave us a part of it
        # Units of two managers on one machine must not meet: the warden's pid keeps them apart.
        root = os.path.join(mount, own.lstrip("/"), f"unitd-{os.getppid()}")
        tree = cls(root)
        try:
            os.makedirs(root, exist_ok=True)
            probe = tree.make("probe")
            if not os.path.exists(probe + "/cgroup.kill") or not os.access(probe + "/cgroup.procs", os.W_OK):
                return None
            os.rmdir(probe)
        except OSError:
            return None
        return tree

    def path(self, unit: str) -> str:
        """The unit's directory, made or not."""
        return os.path.join(self.root, unit)

    def make(self, unit: str) -> str:
        """The unit's directory, made if need be."""
        path = self.path(unit)
        try:
            os.mkdir(path)
        except FileExistsError:
            pass
        return path

    def kill(self, path: str) -> None:
        """SIGKILL every process in it (cgroup.kill)."""
        with open(path + "/cgroup.kill", "w", encoding="ascii") as file:
            file.write("1")

    def pids(self, path: str) -> list[int]:
        """Processes in it and below."""
        found: list[int] = []
        for directory, _, files in os.walk(path):
            if "cgroup.procs" in files:
                try:
                    with open(directory + "/cgroup.procs", encoding="ascii") as file:
                        found += [int(line) for line in file]
                except OSError:
                    continue
        return found

    def populated(self, path: str) -> bool:
        """Is any process left in it?"""
        try:
            with open(path + "/cgroup.events", encoding="ascii") as file:
                return "populated 1" in file.read()
        except OSError:
            return False

    def remove(self, path: str) -> None:
        """Remove it, if nothing is left in it."""
        for directory, _, _ in os.walk(path, topdown=False):
            try:
                os.rmdir(directory)
            except OSError:
                continue

    def events_fd(self, path: str) -> int:
        """A descriptor that has POLLPRI when the group becomes empty or populated; -1 if there is no such group."""
        try:
            return os.open(path + "/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return -1

    def unit_of(self, pid: int) -> str | None:
        """The unit whose group holds `pid`."""
        try:
            with open(f"/proc/{pid}/cgroup", encoding="ascii") as file:
                own = next(line.strip()[3:] for line in file if line.startswith("0::"))
        except (OSError, StopIteration):
            return None
        parts = own.strip("/").split("/")
        base = os.path.basename(self.root)
        return parts[parts.index(base) + 1] if base in parts and parts.index(base) + 1 < len(parts) else None

    def clear(self) -> None:
        """Remove what is empty, at the end."""
        self.remove(self.root)


def _delegated(path: str) -> bool:
    try:
        return os.getxattr(path, "trusted.delegate") == b"1" or os.getxattr(path, "user.delegate") == b"1"
    except OSError:
        return os.stat(path).st_uid == os.getuid() != 0 if os.path.exists(path) else False
