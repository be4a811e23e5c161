"""`unitctl verify`: what is wrong with unit files, without a manager."""

from __future__ import annotations

import os
from collections.abc import Sequence

from unitd.units import names
from unitd.units.errors import Problem
from unitd.units.loader import Loader


def verify_files(paths: Sequence[str]) -> list[Problem]:
    """Every problem in these unit files and directories of unit files, each in the file that has it."""
    problems: list[Problem] = []
    for path in paths:
        if not os.path.lexists(path):
            problems.append(Problem("error", "cannot read it, because there is no such file or directory", path))
        elif os.path.isdir(path) and not names.is_valid_name(os.path.basename(os.path.abspath(path))):
            loader = Loader([path])
            for name in sorted(loader.list_files()):
                problems += _verify(loader, name)
        else:
            directory, name = os.path.split(os.path.abspath(path))
            if not names.is_valid_name(name):
                problems.append(Problem("error", f"cannot load {name}, because it is no unit name", path, 0, "unit files end in .service, .target, .socket, ..."))
            else:
                problems += _verify(Loader([directory]), name)
    return problems


def _verify(loader: Loader, name: str) -> list[Problem]:
    unit = loader.load(name)
    found = list(unit.problems)
    for command in unit.service.exec_start:
        if command.path.startswith("/") and not command.ignore_failure and not os.access(command.path, os.X_OK):
            found.append(Problem("warning", f"{command.path} does not exist or cannot be executed", unit.fragment_path))
    return found
