"""Launch of unitd to the last of N trivial services running."""

from __future__ import annotations

import sys

from common import bench

for units in [int(word) for word in sys.argv[1:]] or [1000]:
    with bench(units) as b:
        print(f"boot: {units} units: {b.boot():.2f} s", flush=True)
