"""Drives the real status page, `python -m unitd.web`, from outside."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from typing import Any, Self

from tests.harness import PATIENCE, Lines, Manager


class Web:
    """A page of its own beside a manager."""

    def __init__(self, manager: Manager, *options: str, listener: socket.socket | None = None) -> None:
        self.manager = manager
        command = [sys.executable, "-m", "unitd.web", *options]
        environ = dict(manager.environ)
        if listener is None:
            command += [] if "--listen" in options else ["--listen", "127.0.0.1:0"]
        else:
            # as unitd hands it over: descriptor 3, and the variables say for whom
            begin = f"import os, sys; os.dup2({listener.fileno()}, 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); os.execv(sys.argv[1], sys.argv[1:])"
            command = [sys.executable, "-c", begin, *command]
        self.process = subprocess.Popen(
            command, env=environ, stderr=subprocess.PIPE, bufsize=0, cwd="/", pass_fds=[listener.fileno()] if listener is not None else []
        )
        assert self.process.stderr is not None
        self.lines = Lines(self.process.stderr.fileno(), [], "the page")
        self.address = self.expect("status page at ").rpartition("status page at ")[2].strip()
        self.port = int(self.address.rstrip("/").rpartition(":")[2]) if self.address.startswith("http") else 0
        self.token = (manager.run / "web.token").read_text().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def expect(self, text: str) -> str:
        """Wait for a line on stderr."""
        return self.lines.expect(text)

    def ask(self, method: str, path: str, body: bytes | None = None, token: bool = True, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """One request: status, headers, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        found = {k.replace("_", "-"): v for k, v in headers.items()}
        if token:
            found["Authorization"] = f"Bearer {self.token}"
        try:
            connection.request(method, path, body, found)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """JSON of the API, which must answer."""
        status, _, body = self.ask("GET", "/api/v1" + path)
        assert status == 200, (path, status, body)
        return json.loads(body)

    def post(self, path: str, **data: Any) -> Any:
        """An action, which must succeed."""
        status, _, body = self.ask("POST", "/api/v1" + path, json.dumps(data).encode(), Content_Type="application/json")
        assert status == 200, (path, status, body)
        return json.loads(body)

    def stream(self, query: str, last_id: str = "") -> Stream:
        """An event stream."""
        return Stream(self, query, last_id)

    def memory(self) -> int:
        """Resident bytes."""
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def close(self) -> None:
        """End it; it must end well, and have had no error."""
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            self.lines.rest()
            said = "".join(self.lines.said)
            assert self.process.wait(PATIENCE) == 0, (self.process.returncode, said)
            assert "Traceback" not in said, said
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            assert self.process.stderr is not None
            self.process.stderr.close()


class Stream:
    """A client of text/event-stream."""

    def __init__(self, web: Web, query: str, last_id: str = "") -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=PATIENCE)
        headers = {"Authorization": f"Bearer {web.token}"} | ({"Last-Event-ID": last_id} if last_id else {})
        self.connection.request("GET", f"/api/v1/events?{query}", headers=headers)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()
        self.id = last_id

    def next(self) -> tuple[str, Any]:
        """The next message: (event, data)."""
        kind, data = "", ""
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            assert not self.answer.isclosed(), "the stream ended"
            name, _, value = line.partition(": ")
            if name == "id":
                self.id = value
            elif name == "event":
                kind = value
            elif name == "data":
                data = value
            elif not line and kind:
                return kind, json.loads(data)

    def until(self, kind: str, **wanted: Any) -> Any:
        """Data of the next message of this kind with these values."""
        while True:
            found, data = self.next()
            if found == kind and all(data.get(k) == v for k, v in wanted.items()):
                return data

    def settle(self) -> str:
        """Read until an id came; the place to resume at."""
        before = self.id
        while self.id == before:
            line = self.answer.readline().decode().rstrip("\n")
            if line.startswith("id: "):
                self.id = line[4:]
        return self.id

    def close(self) -> None:
        """Go away."""
        self.answer.close()
        self.connection.close()
