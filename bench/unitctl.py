"""What one `unitctl is-active` costs beside starting Python: medians of wall time, and which modules it imports."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

from common import ROOT, bench

RUNS = int(sys.argv[1]) if sys.argv[1:] else 21


def medians(commands: list[list[str]], environ: dict[str, str]) -> list[float]:
    """Milliseconds of each command's median run, taken in turns; the first one, which writes bytecode, does not count."""
    taken: list[list[float]] = [[] for _ in commands]
    for _ in range(RUNS + 1):
        for times, command in zip(taken, commands):
            began = time.perf_counter()
            subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)
            times.append(time.perf_counter() - began)
    return [statistics.median(times[1:]) * 1000 for times in taken]


with bench(1) as b:
    b.boot()
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environ = {**clean, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(b.manager.base / "pycache"), "UNITD_BUS": str(b.manager.base / "run")}
    code = "import sys; from unitd.cli.main import main; sys.exit(main(['is-active', 'svc0']))"
    bare, full = medians([[sys.executable, "-c", "pass"], [sys.executable, "-c", code]], environ)
    told = subprocess.run([sys.executable, "-X", "importtime", "-c", code], env=environ, capture_output=True, text=True, check=True).stderr
    names = [line.rpartition("|")[2].strip() for line in told.splitlines()]
    heavy = [name for name in ("msgspec", "argparse", "asyncio", "zmq", "typing", "dataclasses") if name in names[names.index("site") :]]
    print(f"unitctl: python {bare:.1f} ms, is-active {full:.1f} ms: {full - bare:.1f} ms more; {len(names) - names.index('site') - 1} modules, heavy: {heavy}")
