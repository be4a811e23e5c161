"""SIGKILL of a service with Restart=always, RestartSec=0, to the first instruction of its replacement: median."""

from __future__ import annotations

import os
import signal
import statistics
import sys
import time

from common import bench

SAMPLES = 50


def measure(count: int) -> list[float]:
    """Milliseconds of each respawn, with `count` services running."""
    times = []
    with bench(count) as b:
        b.boot()
        with b.manager.client() as client:
            for sample in range(SAMPLES):
                number = sample * 7 % count
                pid = int(client.show([f"svc{number}.service"])[0]["MainPID"])
                killed = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
                os.kill(pid, signal.SIGKILL)
                _number, up = b.announced()
                times.append((up - killed) / 1e6)
    return times


for units in [int(word) for word in sys.argv[1:]] or [10, 1000]:
    found = measure(units)
    print(f"respawn: {units} units: median {statistics.median(found):.2f} ms, min {min(found):.2f}, max {max(found):.2f} ({len(found)} samples)", flush=True)
