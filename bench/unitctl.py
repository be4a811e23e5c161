"""What one `unitctl` costs beside starting Python: medians of wall time, and how many modules it imports."""

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


#: unitctl as it is run: by what pip installs, and without the `site` module, whose cost depends on what else is installed.
WAYS = {"installed": ["{bin}/unitctl"], "-IS": [sys.executable, "-IS", "-c", "import sys; sys.path[:0] = ['{root}']; from unitd.cli.main import program; program()"]}
BARE = {"installed": [sys.executable, "-c", "pass"], "-IS": [sys.executable, "-IS", "-c", "pass"]}
COMMANDS = {"is-active": ["is-active", "svc0.service"], "show": ["show", "-p", "ActiveState", "svc0"], "restart": ["restart", "svc0.service"]}
#: What no plain command is to import.
HEAVY = ("msgspec", "argparse", "asyncio", "zmq", "typing", "dataclasses", "re", "json", "socket", "enum", "contextlib", "collections", "subprocess")

with bench(1) as b:
    b.boot()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environ = {**clean, "UNITD_BUS": str(b.manager.base / "run")}
    for way, start in WAYS.items():
        start = [word.format(bin=os.path.dirname(sys.executable), root=ROOT) for word in start]
        if not os.path.exists(start[0]):
            print(f"unitctl, {way}: not measured, because {start[0]} is not there")
            continue
        *asking, restart = ([*start, *words] for words in COMMANDS.values())
        bare, *full = medians([BARE[way], *asking], environ)
        full += medians([restart], environ)  # by itself: what it leaves to the manager would slow the next command
        print(f"unitctl, {way}: python {bare:.1f} ms, " + ", ".join(f"{name} {taken:.1f} ms ({taken - bare:+.1f})" for name, taken in zip(COMMANDS, full)))
    for name, words in COMMANDS.items():
        code = f"import sys; sys.path[:0] = ['{ROOT}']; from unitd.cli.main import main; main({words!r})"
        told = subprocess.run([sys.executable, "-IS", "-X", "importtime", "-c", code], env=environ, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, check=True).stderr
        names = [line.rpartition("|")[2].strip() for line in told.splitlines()]
        ours = names[names.index("unitd") :]
        print(f"unitctl {name}: {len(ours)} modules, of those not to be there: {', '.join(module for module in HEAVY if module in ours) or 'none'}")
