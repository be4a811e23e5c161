"""CPU time of a start of 2000 units that depend on each other: the transaction alone, and the jobs until all units are up."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.graphs import Source, World, unit  # noqa: E402
from unitd.manager import transaction  # noqa: E402
from unitd.manager.engine import Engine  # noqa: E402
from unitd.units.model import Unit  # noqa: E402

UNITS = 2000


def units(count: int, seed: int = 1) -> list[Unit]:
    """A target that wants them all; each requires or wants some that come before it, ordered after most of these."""
    rng = random.Random(seed)  # noqa: S311 - the same graph every time
    made = []
    for n in range(count):
        before = [f"u{rng.randrange(n)}.service" for _ in range(min(n, rng.randrange(6)))]
        kinds = {"Requires": before[:2], "Wants": before[2:4], "After": before[:3], "Conflicts": ["shutdown.target"], "Before": ["shutdown.target"]}
        made.append(unit(f"u{n}.service", {"Requires": [*kinds.pop("Requires"), "sysinit.target"], **kinds}, type="simple", default_dependencies=True))
    every = [u.name for u in made]
    return [*made, unit("all.target", {"Wants": every}, default_dependencies=True), unit("sysinit.target"), unit("shutdown.target")]


def main() -> int:
    """Print the figures."""
    world = World()
    engine = Engine(Source(units(UNITS)), world)
    world.engine = engine
    for name in list(engine.source.units):  # type: ignore[attr-defined]
        engine.unit(name)
    began = time.process_time()
    planned = transaction.plan(engine, "all.target", "start")
    print(f"{'transaction of ' + str(len(planned.entries)) + ' jobs':<40}{(time.process_time() - began) * 1000:8.1f} ms CPU")
    began = time.process_time()
    engine.submit(["all.target"], "start")
    world.settle()
    print(f"{'start of ' + str(len(set(world.spawned))) + ' units, transaction included':<40}{(time.process_time() - began) * 1000:8.1f} ms CPU")
    began = time.process_time()
    transaction.plan(engine, "u1999.service", "restart")
    print(f"{'transaction of one restart':<40}{(time.process_time() - began) * 1000:8.1f} ms CPU")
    return 0 if len(set(world.spawned)) == UNITS and len(world.spawned) == UNITS else 1


if __name__ == "__main__":
    sys.exit(main())
