"""The unit files that the manager itself writes: transient units, drop-ins of set-property and edit. They live in the runtime directory or in the unit path."""

from __future__ import annotations

import contextlib
import os
import shutil

from unitd.units.transient import DIRECTORY, is_transient

#: Drop-ins that last as long as unitd does (--runtime).
CONTROL = "control"


class OwnFiles:
    """Directories of unit files below the runtime directory: both come last in the search path."""

    def __init__(self, runtime_dir: str) -> None:
        self.transient = os.path.join(runtime_dir, DIRECTORY)
        self.control = os.path.join(runtime_dir, CONTROL)

    def paths(self, given: list[str]) -> list[str]:
        """The search path with them in it."""
        return [*given, self.control, self.transient]

    def begin(self, life: str) -> None:
        """Make the directories. What an earlier unitd left there goes; what this one had, in the same `life`, stays, whatever became of its state."""
        mark = os.path.join(self.transient, ".life")
        try:
            with open(mark, encoding="utf-8") as file:
                same = file.read() == life
        except OSError:
            same = False
        for path in (self.transient, self.control):
            if not same:
                shutil.rmtree(path, ignore_errors=True)
            os.makedirs(path, mode=0o755, exist_ok=True)
        if not same:
            replace(mark, life)

    def write(self, name: str, text: str) -> str:
        """Write the file of a transient unit; its path. Raises OSError."""
        path = os.path.join(self.transient, name)
        replace(path, text)
        return path

    def forget(self, name: str) -> bool:
        """The unit is gone: so is its file, if it was transient, and what --runtime has said about it. Was it transient?"""
        path = os.path.join(self.transient, name)
        try:
            os.unlink(path)
        except FileNotFoundError:
            return False
        shutil.rmtree(os.path.join(self.control, name + ".d"), ignore_errors=True)
        return True

    def owns(self, path: str) -> bool:
        """Is this the file of a transient unit?"""
        return is_transient(path) and os.path.dirname(path) == self.transient


def replace(path: str, text: str) -> None:
    """Write a file as a whole or not at all. Raises OSError."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
