"""PID files of forking services (systemd.service(5), PIDFile=)."""

from __future__ import annotations

import os


def read_pid(path: str) -> tuple[int, str]:
    """(pid, "") or (0, why not)."""
    try:
        with open(path, encoding="ascii") as file:
            text = file.readline().strip()
    except FileNotFoundError:
        return 0, f"PID file {path} does not exist yet"
    except (OSError, UnicodeDecodeError) as error:
        return 0, f"cannot read PID file {path}: {error}"
    if not text.isdigit() or not 0 < int(text) < 1 << 22:
        return 0, f"PID file {path} holds no process ID"
    return int(text), ""


def remove(path: str) -> None:
    """Remove a PID file that the service left."""
    try:
        os.unlink(path)
    except OSError:
        return
