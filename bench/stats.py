"""What the live view costs at N services (1000): CPU and wake-ups of the manager with no subscriber and with one at 1 Hz, and the bus beside it."""

from __future__ import annotations

import select
import subprocess
import sys
import threading
import time

from common import bench, switches

from unitd.bus.client import Client


def cpu(pid: int) -> float:
    """CPU seconds of a process so far."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        main = int(file.read().split()[0]) / 1e9
    with open(f"/proc/{pid}/stat", "rb") as file:
        words = file.read().rpartition(b")")[2].split()
    return max(main, (int(words[11]) + int(words[12])) / 100)


def latency(client: Client, seconds: float) -> list[float]:
    """Milliseconds of round trips, fifty a second."""
    found, end, pause = [], time.monotonic() + seconds, threading.Event()
    while time.monotonic() < end:
        began = time.perf_counter()
        client.call("ping")
        found.append((time.perf_counter() - began) * 1000)
        pause.wait(0.02)
    return sorted(found)


def measure(what: str, pid: int, seconds: float) -> None:
    """Print CPU and context switches of the manager while somebody else does something, or nothing."""
    before, woken = cpu(pid), switches(pid)
    threading.Event().wait(seconds)
    print(f"stats: {what}: {100 * (cpu(pid) - before) / seconds:.2f} % of a core, {(switches(pid) - woken) / seconds:.1f} context switches/s", flush=True)


def count(endpoint: str) -> None:
    """Be a subscriber in a process of its own until standard input ends."""
    samples = gaps = 0
    began = time.monotonic()
    with Client(endpoint) as client, client.events(["stats."]) as events:
        while sys.stdin not in select.select([sys.stdin, events.fileno()], [], [])[0]:
            while (event := events.next_event(0)) is not None:
                samples, gaps = samples + (event.kind == "stats"), gaps + (event.kind == "gap")
    print(f"{samples / (time.monotonic() - began):.0f} samples/s, {gaps} gaps")


if sys.argv[1:2] == ["--count"]:
    count(sys.argv[2])
    sys.exit(0)
units, seconds = (int(word) for word in (sys.argv[1:] + ["1000", "15"])[:2])
with bench(units) as b:
    b.boot()
    threading.Event().wait(3)
    endpoint = b.manager.bus
    with Client(endpoint) as client:
        pid = client.ping()["pid"]
        measure(f"{units} units, no subscriber", pid, seconds)
        rtt = latency(client, seconds)
        print(f"stats: bus, no subscriber: p50 {rtt[len(rtt) // 2]:.2f} ms, p99 {rtt[len(rtt) * 99 // 100]:.2f} ms", flush=True)
        with subprocess.Popen([sys.executable, __file__, "--count", endpoint], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
            threading.Event().wait(3)
            measure(f"{units} units, one subscriber at 1 Hz", pid, seconds)
            rtt = latency(client, seconds)
            out, _ = reader.communicate()
            print(f"stats: {out.decode().strip()}", flush=True)
            print(f"stats: bus, one subscriber: p50 {rtt[len(rtt) // 2]:.2f} ms, p99 {rtt[len(rtt) * 99 // 100]:.2f} ms", flush=True)
        threading.Event().wait(2)
        measure(f"{units} units, subscriber gone", pid, seconds)
