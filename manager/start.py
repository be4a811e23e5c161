"""The manager's first lines: what makes the start short. A killed manager is missed for as long as its successor needs to start.

    python -I -S PACKAGE/manager/start.py

$UNITD_PATH is where Python finds packages, as `unitd` found them: looking for that anew takes longer than all else here.
"""

import gc
import os
import sys

gc.disable()  # nothing of what a start makes is garbage; `App.begin` turns it on
_standard = list(sys.path[1:])
sys.path[:] = [*[p for p in os.environ.get("UNITD_PATH", "").split(os.pathsep) if p and p not in _standard], *_standard]
sys.modules["ssl"] = None  # type: ignore[assignment] # asyncio does without, and a tenth of the start with it
import asyncio  # noqa: E402, F401

del sys.modules["ssl"]

if __name__ == "__main__":
    from unitd.manager.app import main

    sys.exit(main())
