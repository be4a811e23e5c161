"""The manager's first lines: what makes the start short. A killed manager is missed for as long as its successor needs to start.

    python -I -S PACKAGE/manager/start.py

$UNITD_PATH is where Python finds packages, as `unitd` found them: looking for that anew takes longer than all else here.
"""

import gc
import os
import sys


def main() -> int:
    """Import what there is to import, quickly, and be the manager."""
    gc.disable()  # nothing of what a start makes is garbage; `App.begin` turns it on
    standard = sys.path[1:]  # without the directory of this file
    sys.path[:] = [*[p for p in os.environ.get("UNITD_PATH", "").split(os.pathsep) if p and p not in standard], *standard]
    sys.modules["ssl"] = None  # type: ignore[assignment] # asyncio does without it, and starts faster
    import asyncio  # noqa: F401

    del sys.modules["ssl"]
    from unitd.manager.app import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
