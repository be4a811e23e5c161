"""Context switches of unitd's own processes while nothing happens: 100 services, 30 seconds."""

from __future__ import annotations

import sys
import threading

from common import bench, switches

units, seconds = (int(word) for word in (sys.argv[1:] + ["100", "30"])[:2])
with bench(units) as b:
    b.boot()
    quiet = threading.Event()
    quiet.wait(3)
    pids = b.own_pids()
    before = {pid: switches(pid) for pid in pids}
    quiet.wait(seconds)
    total = sum(switches(pid) - before[pid] for pid in pids)
    print(f"idle: {units} units: {total} context switches of {len(pids)} processes in {seconds} s", flush=True)
