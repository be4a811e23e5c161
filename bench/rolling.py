"""Rolling restarts of a pool of four workers under load, one connection per request: how many requests failed (aim: 0).

    python bench/rolling.py [ROLLING RESTARTS, default 100]

The workers end cleanly: at SIGTERM they finish the request they have and take no other.
"""

from __future__ import annotations

import socket
import sys
import threading
import time

from common import ROOT  # noqa: F401 - puts the checkout on the path

from tests.harness import Manager, free_port

WORKERS, CLIENTS = 4, 4
SERVER = """
import os, select, signal, socket
over = False
def end(number, frame):
    global over
    over = True
reader, writer = os.pipe2(os.O_NONBLOCK)
signal.set_wakeup_fd(writer)
signal.signal(signal.SIGTERM, end)
listener = socket.socket(fileno=3)
listener.setblocking(False)
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while not over:
    select.select([listener, reader], [], [])
    if over:
        break
    try:
        connection = listener.accept()[0]
    except BlockingIOError:
        continue
    connection.setblocking(True)
    connection.recv(1000)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\nConnection: close\\r\\n\\r\\nok\\n")
    connection.close()
"""


class Load:
    """Clients that ask without a pause."""

    def __init__(self, port: int) -> None:
        self.port, self.over = port, threading.Event()
        self.asked, self.failed, self.longest = 0, list[str](), 0.0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(CLIENTS)]

    def run(self) -> None:
        while not self.over.is_set():
            began, problem = time.monotonic(), ""
            try:
                with socket.create_connection(("127.0.0.1", self.port), 30) as client:
                    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    if not client.makefile("rb").read().endswith(b"ok\n"):
                        problem = "answer cut off"
            except OSError as error:
                problem = str(error)
            took = time.monotonic() - began
            with self.lock:
                self.asked += 1
                self.longest = max(self.longest, took)
                if problem:
                    self.failed.append(problem)
            time.sleep(0.002)  # two cores are shared with the servers


def main(rounds: int) -> int:
    with Manager() as manager:
        program = manager.base / "server.py"
        program.write_text(SERVER)
        port = free_port()
        manager.write(
            "web@.service",
            f"[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=notify\nNonBlocking=yes\nExecStart={sys.executable} -S -I {program}\n"
            f"[Socket]\nListenStream=127.0.0.1:{port}\n[X-Unitd]\nInstances={WORKERS}\n",
        )
        manager.boot()
        manager.ok("start", "web@")
        load = Load(port)
        for thread in load.threads:
            thread.start()
        began = time.monotonic()
        try:
            with manager.client() as client:
                for _ in range(rounds):
                    reply = client.call("rolling", ["web@.service"])
                    if reply.exit_code:
                        raise SystemExit(reply.err)
        finally:
            load.over.set()
            for thread in load.threads:
                thread.join()
        took = time.monotonic() - began
    for problem in sorted(set(load.failed)):
        print(f"rolling: failed: {problem} ({load.failed.count(problem)} times)")
    print(
        f"rolling: {rounds} rolling restarts of {WORKERS} workers in {took:.1f} s, {load.asked} requests on a connection each, "
        f"{len(load.failed)} failed, longest {load.longest * 1000:.0f} ms",
        flush=True,
    )
    return 1 if load.failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
