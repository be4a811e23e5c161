"""What a fresh unitd starts: `--start` and `--exit-on`."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from unitd.manager.jobs import Refused
from unitd.units import pools, special

if TYPE_CHECKING:
    from unitd.manager.engine import Engine
    from unitd.units.loader import Loader

log = logging.getLogger("unitd")


def begin(engine: Engine, loader: Loader, wanted: str, exit_on: str) -> None:
    """Load all units and queue the jobs. `wanted`: default, all, none, or names with commas; `exit_on` is started besides, if there is one.

    What cannot be started is told in the log.
    """
    with loader.batch():
        for name in loader.list_files():
            if "@." not in name:
                engine.unit(name)
    names: list[str] = []
    if wanted == "default":
        names = ["default.target"]
    elif wanted == "all":
        names = everything(engine, loader)
    elif wanted != "none":
        names = [n for n in wanted.split(",") if n]
    if exit_on and exit_on not in names:
        names.append(exit_on)
    for name in names:
        try:
            engine.submit([name], "start")
        except Refused as error:
            log.error("cannot start %s: %s", name, error)


def everything(engine: Engine, loader: Loader) -> list[str]:
    """All units with something to run, but for those that the machine boots with."""
    names = [u.name for u in list(engine.graph.units.values()) if u.type in ("service", "socket", "target", "timer", "path") and "@." not in u.name]
    names += [pools.target_of(name) for name in loader.list_files() if "@." in name and loader.load(name).service.instances]
    for unit in list(engine.graph.units.values()):
        if unit.load_state != "loaded" and unit.type == "service":
            log.error("cannot start %s: %s", unit.name, "; ".join(str(p) for p in unit.problems if p.severity == "error") or unit.load_state)
    names = [n for n in names if engine.unit(n).load_state == "loaded"]
    ours = [n for n in names if not special.is_systemds(os.path.dirname(engine.unit(n).fragment_path))]
    if len(ours) < len(names):
        log.warning("%d units in systemd's own directories are not started: what the machine boots with is for systemd", len(names) - len(ours))
    return ours
