"""clean: removes directories of units that are down (systemctl(1), clean)."""

from __future__ import annotations

import asyncio
import os
import shutil

from unitd.bus.messages import Reply, Request
from unitd.manager.jobs import Refused
from unitd.manager.spawnspec import directory_bases
from unitd.manager.verbs.base import Context, listed, verb

KINDS = {"runtime": "Runtime", "state": "State", "cache": "Cache", "logs": "Logs", "configuration": "Configuration"}
#: Types whose units may have such directories.
CLEANABLE = ("service", "socket", "timer", "mount", "swap")


@verb("clean")
async def clean(c: Context, request: Request) -> Reply:
    what = listed(request.options.get("what")) or ["cache", "runtime"]
    if "all" in what:
        what = list(KINDS)
    errors = []
    unknown = next((word for word in what if word not in KINDS), "")
    bases = directory_bases(c.executor.host)
    for unit in c.expand(request.units):
        if unit.load_state == "not-found":
            errors.append(f"Failed to add reference to unit {unit.name}: Unit {unit.name} not found.")
            continue
        if unknown:
            raise Refused("bad-argument", f"Failed to clean unit {unit.name}: Invalid resource type: {unknown}", 1)
        if unit.type not in CLEANABLE:
            errors.append(f"Failed to clean unit {unit.name}: Unit '{unit.name}' does not support cleaning.")
            continue
        if c.engine.record(unit.name).sub not in ("dead", "failed"):
            errors.append(f"Failed to clean unit {unit.name}: Unit is not inactive or has pending job.")
            continue
        paths = []
        for word in what:
            directory = unit.exec.directories.get(KINDS[word])
            if directory is not None:
                names = [*directory.names, *(link for _, link in directory.links)]
                paths += [os.path.join(bases[KINDS[word]], name) for name in names]
        if not any(directory.names for directory in unit.exec.directories.values()):
            errors.append(f"Failed to clean unit {unit.name}: No matching resources found.")
            continue
        errors += [f"Failed to clean unit {unit.name}: {problem}" for problem in await asyncio.to_thread(_remove, paths)]
    return Reply(id=request.id, ok=not errors, exit_code=1 if errors else 0, err="".join(e + "\n" for e in errors))


def _remove(paths: list[str]) -> list[str]:
    problems = []
    for path in paths:
        try:
            if os.path.islink(path):
                os.unlink(path)
            elif os.path.lexists(path):
                shutil.rmtree(path)
        except OSError as error:
            problems.append(f"cannot remove {error.filename or path}: {error.strerror}")
    return problems
