"""The units that unitd brings along (its status page): written to the runtime directory at each start, and found last of all (systemd.generator(7),
generator.late)."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Mapping

import unitd

log = logging.getLogger("unitd")

DIRECTORY = "generator.late"
SOURCES = os.path.join(os.path.dirname(os.path.abspath(unitd.__file__)), "web", "units")
#: Where the page of root's unitd listens; other users have ports of their own.
PORT = 8641


def port(uid: int) -> int:
    """The port on loopback for a user's status page."""
    return PORT if uid == 0 else 10000 + uid % 20000


def word(text: str) -> str:
    """A word in a unit file that means just this text (but for `$` in arguments)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def fill(text: str, runtime_dir: str, python: str, uid: int, environ: Mapping[str, str]) -> str:
    """A unit's text with what is known only now."""
    path = environ.get("PYTHONPATH", "")
    values = {
        "@PORT@": str(port(uid)),
        "@PYTHON@": word(python),
        "@BUS@": word(runtime_dir).replace("$", "$$"),
        "@ENVIRONMENT@": word("PYTHONPATH=" + path) if path else "",
    }
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def write(runtime_dir: str) -> str:
    """Write them; the directory they are in. What cannot be written is logged: unitd does without its page."""
    directory = os.path.join(runtime_dir, DIRECTORY)
    try:
        os.makedirs(directory, mode=0o755, exist_ok=True)
        for name in sorted(os.listdir(SOURCES)):
            with open(os.path.join(SOURCES, name), encoding="utf-8") as file:
                _replace(os.path.join(directory, name), fill(file.read(), runtime_dir, sys.executable, os.getuid(), os.environ))
    except OSError as error:
        log.error("cannot write the units of the status page, because %s says: %s", error.filename, error.strerror)
    return directory


def _replace(path: str, text: str) -> None:
    """A file with this text; one that has it already stays, so that nothing looks changed."""
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8", errors="replace") as file:
        if file.read() == text:
            return
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)
