"""Output: throughput and CPU beside supervisor and s6-log, four floods, and reading a long history. `make bench-logs`.

    python bench/logs.py [--mb 1000] [--only flow,floods,kills,read]

All write through rotation (16 MB files, 5 of them) into the same temporary directory. CPU is that of the programs that move the output, not of
the writer. supervisor is installed by pip into a throw-away environment; s6-log is measured where it is installed (apt install s6).
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.harness import Manager, file_has, poll, wait_gone  # noqa: E402

#: Writes MB in blocks of SIZE bytes of 100-byte lines and says when it began and ended.
WRITER = """
import os, sys, time
total, size, report = int(sys.argv[1]) * 1000000, int(sys.argv[2]), sys.argv[3]
block = (b"x" * 99 + b"\\n") * (max(size, 100) // 100)
began, write, left = time.time(), os.write, total
while left > 0:
    left -= write(1, block)
open(report + ".new", "w").write(f"{began} {time.time()} {total - left}")
os.rename(report + ".new", report)
"""
TICK = os.sysconf("SC_CLK_TCK")
LIMIT = 180.0  # seconds for one measurement


def cpu(pids: list[int]) -> float:
    """Seconds of processor time so far."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def wait_for(path: Path) -> tuple[float, float, int]:
    """The writer's report."""
    file_has(path, patience=LIMIT)
    began, ended, size = path.read_text().split()
    return float(began), float(ended), int(size)


def result(name: str, what: str, size: int, wall: float, used: float) -> tuple[float, float]:
    """Print a row."""
    rate, per_gb = size / 1e6 / wall, used / (size / 1e9)
    print(f"{name:<12} {what:<14} {size / 1e6:6.0f} MB  {rate:6.0f} MB/s  {per_gb:6.2f} CPU s/GB", flush=True)
    return rate, per_gb


def own(manager: Manager) -> list[int]:
    """Processes of unitd itself, once the logger is among them: it has its name only when it has begun."""
    poll(lambda: manager.named("unitd: logger"), "bench: there is no logger")
    return manager.own()


def unitd(mb: int, size: int, what: str) -> tuple[float, float]:
    with Manager() as manager:
        report = manager.base / "report"
        (manager.base / "writer.py").write_text(WRITER)
        manager.write("flow.service", f"[Service]\nExecStart={sys.executable} -S {manager.base}/writer.py {mb} {size} {report}\nRemainAfterExit=yes\n")
        manager.boot()
        pids = own(manager)
        before = cpu(pids)
        manager.ok("start", "flow")
        began, _, total = wait_for(report)
        manager.ok("logs", "-n", "1", "flow")  # all of it is in the file now
        return result("unitd", what, total, time.time() - began, cpu(pids) - before)


def supervisor(mb: int, size: int, what: str, environment: Path) -> tuple[float, float]:
    base = Path(tempfile.mkdtemp(prefix="bl"))
    try:
        (base / "writer.py").write_text(WRITER)
        (base / "s.conf").write_text(
            f"[supervisord]\nnodaemon=true\nlogfile={base}/d.log\npidfile={base}/pid\nchildlogdir={base}\n[program:flow]\n"
            f"command={sys.executable} -S {base}/writer.py {mb} {size} {base}/report\nredirect_stderr=true\nautorestart=false\nstartsecs=0\n"
            f"stdout_logfile={base}/flow.log\nstdout_logfile_maxbytes=16MB\nstdout_logfile_backups=4\n"
        )
        with subprocess.Popen([str(environment / "bin/supervisord"), "-c", str(base / "s.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
            began, ended, total = wait_for(base / "report")
            used = cpu([p.pid])
            p.terminate()
        return result("supervisor", what, total, ended - began, used)
    finally:
        shutil.rmtree(base)


def s6(mb: int, size: int, what: str) -> tuple[float, float]:
    base = Path(tempfile.mkdtemp(prefix="bl"))
    try:
        (base / "writer.py").write_text(WRITER)
        reader, writer = os.pipe()
        with subprocess.Popen(["s6-log", "n4", "s16777216", str(base / "log")], stdin=reader) as p:
            os.close(reader)
            subprocess.run([sys.executable, "-S", str(base / "writer.py"), str(mb), str(size), str(base / "report")], stdout=writer, check=True)
            began, ended, total = wait_for(base / "report")
            used = cpu([p.pid])
            os.close(writer)
        return result("s6-log", what, total, ended - began, used)
    finally:
        shutil.rmtree(base)


def flow(mb: int) -> None:
    """Show 1: one writer of 100-byte lines, in 64 KiB writes and line by line."""
    environment = Path(tempfile.mkdtemp(prefix="bl")) / "v"
    made = subprocess.run([sys.executable, "-m", "venv", str(environment)]).returncode == 0
    made = made and subprocess.run([str(environment / "bin/pip"), "install", "-q", "supervisor", "setuptools<80"], stderr=subprocess.DEVNULL).returncode == 0
    try:
        rate, per_gb = unitd(mb, 65536, "64 KiB writes")
        if made:
            supervisor(mb, 65536, "64 KiB writes", environment)
        if shutil.which("s6-log"):
            s6(mb, 65536, "64 KiB writes")
        _, lines = unitd(mb, 100, "line by line")
        if made:
            _, theirs = supervisor(max(1, mb // 10), 100, "line by line", environment)
            print(f"line by line, unitd needs 1/{theirs / max(lines, 0.001):.1f} of supervisor's CPU")
        if shutil.which("s6-log"):
            s6(max(1, mb // 10), 100, "line by line")
        print(f"wanted: 600 MB/s or more, 1 CPU s/GB or less: {'yes' if rate >= 600 and per_gb <= 1 else 'no'}")
    finally:
        shutil.rmtree(environment.parent)


def kills(count: int) -> None:
    """Show 3: numbered lines, up to 100000 a second, while the logger is killed `count` times and the manager every tenth time besides."""
    with Manager() as manager:
        program = "import os, time\nn = 0\nwhile not os.path.exists('{0}/stop'):\n os.write(1, b''.join(b'%d\\n' % i for i in range(n, n + 100)))\n n += 100\n time.sleep(0.001)\n"
        (manager.base / "p.py").write_text(program.format(manager.base) + f"open('{manager.base}/total', 'w').write(str(n))\n")
        limits = "[X-Unitd]\nLogMaxSize=4M\nLogMaxFiles=10000\nLogCompress=yes\n"
        manager.write("n.service", f"[Service]\nExecStart={sys.executable} -S {manager.base}/p.py\nRemainAfterExit=yes\n{limits}")
        manager.boot()
        manager.ok("start", "n")
        managers = 0
        for turn in range(count):
            poll(lambda: manager.named("unitd: logger"), "bench: there is no logger", pause=0.005)
            logger = manager.named("unitd: logger")[0]
            os.kill(logger, signal.SIGKILL)
            if turn % 10 == 9:
                manager.kill_manager()
                managers += 1
            wait_gone([logger])
            time.sleep(0.03)  # some work for the next one
        (manager.base / "stop").touch()
        manager.wait_for("n.service", SubState="exited")
        total = int((manager.base / "total").read_text())
        lines = manager.ctl("logs", "-o", "cat", "n", timeout=LIMIT).stdout.split()
        numbers = [int(line) for line in lines if line.isdigit()]
        lost, doubled = total - len(set(numbers)), len(numbers) - len(set(numbers))
        torn = len(lines) - len(numbers)
        in_order = numbers == list(range(total))
        print(f"logger killed {count} times, manager {managers} times, {total} lines: {lost} lost, {doubled} doubled, {torn} torn, in order: {in_order}")


def percentile(values: list[float], part: float) -> float:
    """Of sorted or unsorted values."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def floods() -> None:
    """Show 2: four services print without end; the bus and a quiet service's lines."""

    with Manager() as manager:
        for n in range(4):
            manager.write(f"flood{n}.service", f"[Service]\nExecStart=/usr/bin/yes {'x' * 99}\n")
        tick = "import time\nwhile True:\n time.sleep(0.02)\n print(time.time(), flush=True)\n"
        (manager.base / "tick.py").write_text(tick)
        manager.write("tick.service", f"[Service]\nExecStart={sys.executable} -S {manager.base}/tick.py\n")
        manager.boot()
        manager.ok("start", "tick")
        for loaded in (False, True):
            if loaded:
                manager.ok("start", "flood0", "flood1", "flood2", "flood3")
            delays: list[float] = []
            trips: list[float] = []
            stop = threading.Event()

            def listen(delays: list[float] = delays, stop: threading.Event = stop) -> None:
                with manager.client() as client:
                    for line in client.logs("tick", follow=True, lines=0):
                        delays.append(line.realtime - float(line.text))
                        if stop.is_set():
                            return

            thread = threading.Thread(target=listen)
            thread.start()
            end = time.monotonic() + 8
            with manager.client() as client:
                client.ping()
                while time.monotonic() < end:
                    before = time.perf_counter()
                    client.ping()
                    trips.append(time.perf_counter() - before)
                    time.sleep(0.005)
            stop.set()
            thread.join()
            print(
                f"{'four floods' if loaded else 'quiet':<12} bus p50 {statistics.median(trips) * 1e3:.2f} ms, p99 {percentile(trips, 0.99) * 1e3:.2f} ms;"
                f" another unit's lines are in the file after p50 {statistics.median(delays) * 1e3:.1f} ms, p99 {percentile(delays, 0.99) * 1e3:.1f} ms,"
                f" at most {max(delays) * 1e3:.1f} ms",
                flush=True,
            )


def read(mb: int) -> None:
    """Show 4: the last lines, and lines since a time, of a long history: plain and compressed."""
    from unitd.bus.logclient import Wanted, read_logs
    from unitd.bus.logread import read as read_lines
    from unitd.bus.logread import tail
    from unitd.manager import logpress

    with Manager() as manager:
        report = manager.base / "report"
        (manager.base / "writer.py").write_text(WRITER)
        limits = "[X-Unitd]\nLogMaxFiles=1000\n"
        manager.write("flow.service", f"[Service]\nExecStart={sys.executable} -S {manager.base}/writer.py {mb} 1000 {report}\nRemainAfterExit=yes\n{limits}")
        manager.boot()
        manager.ok("start", "flow")
        began, ended, _ = wait_for(report)
        manager.ok("logs", "-n", "1", "flow")
        directory = str(manager.log / "flow.service")
        since = f"@{(began + ended) / 2:.6f}"
        for state in ("plain", "compressed"):
            if state == "compressed":
                logpress.press(directory, "yes")
            first = time.perf_counter()
            tail(directory, 100)
            second = time.perf_counter()
            next(iter(read_lines(directory, since=float(since[1:]))))
            third = time.perf_counter()
            list(read_logs({"flow.service": directory}, {"flow.service": Wanted(since=ended - 0.01)}, 100))
            fourth = time.perf_counter()
            print(
                f"{mb} MB {state:<10} last 100 lines {(second - first) * 1e3:.1f} ms, first line since the middle {(third - second) * 1e3:.1f} ms,"
                f" last 100 of the last 10 ms {(fourth - third) * 1e3:.1f} ms"
            )
        for words in (["version"], ["logs", "-n", "100", "flow"]):
            walls = []
            for _ in range(7):
                first = time.perf_counter()
                manager.ok(*words)
                walls.append(time.perf_counter() - first)
            print(f"whole process: unitctl {' '.join(words):<18} {statistics.median(walls) * 1e3:.0f} ms")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--mb", type=int, default=1000, help="how much one service prints")
    p.add_argument("--only", default="flow,floods,kills,read", help="which parts")
    arguments = p.parse_args()
    for part in arguments.only.split(","):
        print(f"-- {part}", flush=True)
        {"flow": lambda: flow(arguments.mb), "floods": floods, "kills": lambda: kills(200), "read": lambda: read(arguments.mb)}[part]()


if __name__ == "__main__":
    main()
