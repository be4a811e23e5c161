"""Files around a unit's processes: variables that are read for them, data for their standard input, and what goes when the unit is down."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil

from unitd.manager import plainfile
from unitd.units import envfile
from unitd.units.model import ExecContext, Unit


def variables(context: ExecContext) -> list[tuple[str, str]]:
    """What the files of EnvironmentFile= say now, in order. Raises OSError for one that has to be there; a pattern has to match something."""
    found: list[tuple[str, str]] = []
    for pattern, optional in context.environment_files:
        paths = (sorted(glob.glob(pattern)) if glob.has_magic(pattern) else []) or [pattern]
        for path in paths:
            try:
                found += envfile.parse_env_file(plainfile.read(path).decode("utf-8", "surrogateescape"))
            except OSError:
                if not optional:
                    raise
    return found


def remove_runtime(unit: Unit, runtime_dir: str) -> None:
    """RuntimeDirectory= and its symlinks go; so does what stood in their way."""
    directory = unit.exec.directories.get("Runtime")
    if directory is None:
        return
    for name in (*(link for _, link in directory.links), *directory.names):
        path = os.path.join(runtime_dir, name)
        if os.path.islink(path) or os.path.isfile(path):
            with contextlib.suppress(OSError):  # as with directories
                os.unlink(path)
        else:
            shutil.rmtree(path, ignore_errors=True)
