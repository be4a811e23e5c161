"""The status page under 500 event streams and one event a second: its memory, its share of a core, and how old an event is when it arrives."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.harness import Manager  # noqa: E402
from tests.webserver import Web  # noqa: E402

CLIENTS, SECONDS = (int(word) for word in (sys.argv[1:] + ["500", "15"])[:2])
SPEAKER = (
    "import os, socket, time\n"
    "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
    "s.connect(os.environ['NOTIFY_SOCKET'])\n"
    "s.send(b'READY=1')\n"
    "while True:\n"
    "    time.sleep(1)\n"
    "    s.send(b'STATUS=%f' % time.time())\n"
)


async def listen(web: Web, ages: list[float], ready: asyncio.Semaphore) -> None:
    """One client: how old each event is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    writer.write(f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\nAuthorization: Bearer {web.token}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    ready.release()
    try:
        while line := await reader.readline():
            if line.startswith(b"data: ") and b'"status-text"' in line:
                now = time.time()
                ages.append(now - float(json.loads(line[6:])["text"]))
    finally:
        writer.close()


def cpu(pid: int) -> float:
    """Seconds of CPU so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(web: Web) -> None:
    """Connect all, then listen."""
    ages: list[float] = []
    ready = asyncio.Semaphore(0)
    clients = [asyncio.create_task(listen(web, ages, ready)) for _ in range(CLIENTS)]
    for _ in clients:
        await ready.acquire()
    await asyncio.sleep(2)
    ages.clear()
    before, began = cpu(web.process.pid), time.monotonic()
    await asyncio.sleep(SECONDS)
    share = (cpu(web.process.pid) - before) / (time.monotonic() - began)
    memory = web.memory() / 1e6
    for client in clients:
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    ages.sort()
    print(
        f"sse: {CLIENTS} streams, {len(ages)} arrivals in {SECONDS} s: RSS {memory:.1f} MB, {share * 100:.1f} % of a core, "
        f"age p50 {statistics.median(ages) * 1000:.0f} ms, p99 {ages[int(len(ages) * 0.99)] * 1000:.0f} ms, max {ages[-1] * 1000:.0f} ms",
        flush=True,
    )


with Manager() as manager:
    script = manager.base / "speaker.py"
    script.write_text(SPEAKER)
    manager.write("speaker.service", f"[Service]\nType=notify\nExecStart={sys.executable} {script}\n")
    manager.boot("speaker.service")
    manager.wait_for("speaker.service", SubState="running")
    with Web(manager) as page:
        asyncio.run(measure(page))
