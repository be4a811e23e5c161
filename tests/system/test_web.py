"""The status page without a browser: what it refuses, its streams, its process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.harness import PATIENCE, Manager
from tests.webserver import Web

LOUD = "[Service]\nExecStart=/usr/bin/tail -n +1 -F {0}\n"


@pytest.fixture
def web(manager: Manager) -> Iterator[Web]:
    """A page beside a manager with two running services."""
    (manager.base / "spoken").write_text("first\n")
    manager.write("loud.service", LOUD.format(manager.base / "spoken"))
    manager.write("idle.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep 10000\n")
    manager.boot("loud.service,idle.service")
    manager.wait_for("loud.service", SubState="running")
    manager.wait_for("idle.service", SubState="running")
    with Web(manager) as page:
        yield page


def raw(web: Web, data: bytes) -> bytes:
    """Bytes in, what comes back until the other side closes."""
    with socket.create_connection(("127.0.0.1", web.port), timeout=PATIENCE) as connection:
        found = b""
        with contextlib.suppress(ConnectionError):  # it may be closed before all was read
            connection.sendall(data)
            while more := connection.recv(65536):
                found += more
        return found


def test_what_is_refused(web: Web) -> None:
    own = web.address.rstrip("/")
    act = "/api/v1/units/idle.service/stop"
    before = web.manager.pid("idle.service")
    status, headers, _ = web.ask("POST", "/login", f"token={web.token}&next=/unit/idle.service".encode(), token=False, Origin=own)
    assert (status, headers["location"]) == (303, "/unit/idle.service")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    session = cookie.partition(";")[0]

    def code(method: str, path: str, token: bool = False, **sent: str) -> int:
        return web.ask(method, path, token=token, **sent)[0]

    assert code("GET", "/api/v1/units") == 401
    assert code("GET", "/metrics") == 401
    assert code("GET", "/api/v1/units", Cookie=session) == 200
    assert code("GET", "/api/v1/units", Cookie=session[:-2] + "xx") == 401
    assert code("GET", "/api/v1/units", Authorization="Bearer wrong") == 401
    assert code("GET", "/", Cookie=session, Host="evil.example") == 403
    assert code("GET", "/", True, Host=f"evil.example:{web.port}") == 403
    assert code("POST", act) == 403
    assert code("POST", act, Origin=own) == 401
    assert code("POST", act, Cookie=session) == 403
    assert code("POST", act, Cookie=session, Origin="http://evil.example") == 403
    assert code("POST", act, Cookie=session, Origin="null") == 403
    assert code("POST", act, Cookie=session, Sec_Fetch_Site="same-site") == 403
    assert code("POST", act, True, Origin="http://evil.example") == 403
    assert code("GET", act, True) == 405
    assert code("PUT", act, True) == 405
    assert web.ask("POST", "/login", b"token=" + web.token.encode(), token=False, Origin="http://evil.example")[0] == 403
    assert web.ask("POST", "/login", b"token=wrong", token=False, Origin=own)[0] == 403
    assert web.manager.pid("idle.service") == before
    assert code("POST", act, Cookie=session, Origin=own) == 200
    for path in ("/", "/login", "/nothing", "/static/style.css", "/api/v1/nothing", "/api/v1/units"):
        headers = web.ask("GET", path)[1]
        assert "script-src 'self'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff", path


def test_malformed_and_oversized(web: Web) -> None:
    auth = f"Host: 127.0.0.1:{web.port}\r\nAuthorization: Bearer {web.token}\r\nConnection: close\r\n".encode()
    act = b"POST /api/v1/units/idle/kill HTTP/1.1\r\n" + auth
    for request, wanted in (
        (b"\x00\xff\x16\x03\r\n\r\n", (400,)),
        (b"GET / HTTP/9.9\r\n\r\n", (400, 505)),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + auth + b"\r\n", (414, 431)),
        (b"GET / HTTP/1.1\r\n" + auth + b"".join(b"X-%d: %s\r\n" % (i, b"y" * 500) for i in range(300)) + b"\r\n", (400, 431)),
        (act + b"Content-Length: 99999999\r\n\r\n", (413,)),
        (act + b"Content-Length: -5\r\n\r\n", (400,)),
        (act + b"Content-Length: x\r\n\r\n", (400,)),
        (act + b"Content-Type: application/json\r\nContent-Length: 4\r\n\r\n{[}]", (400,)),
        (act + b"Content-Type: application/json\r\nContent-Length: 18\r\n\r\n" + b'{"signal": "BOOM"}', (400,)),
        (act + b"Content-Type: application/json\r\nContent-Length: 14\r\n\r\n" + b'{"unknown": 1}', (400,)),
        (act + b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", (415,)),
        (act + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", (400,)),
        (act + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n" + b'{"signal":"HUPS"}' + b"\r\n0\r\n\r\n", (400,)),
        (b"GET /unit/%ff%fe HTTP/1.1\r\n" + auth + b"\r\n", (400, 404)),
        (b"GET /unit/..%2f..%2fetc%2fpasswd HTTP/1.1\r\n" + auth + b"\r\n", (400, 404)),
        (b"GET /static/../web.token HTTP/1.1\r\n" + auth + b"\r\n", (400, 403, 404)),
        (b"GET /?q=%00 HTTP/1.1\r\n" + auth + b"\r\n", (400,)),
    ):
        answer = raw(web, request)
        big = len(request) > 60_000
        assert (big and not answer) or int(answer.split(b" ", 2)[1]) in wanted, (request[:80], answer[:300])
    assert web.get("/units/idle.service")["unit"]["active"] == "active"


def test_guessing_ends(web: Web) -> None:
    found = [web.ask("POST", "/login", b"token=guess%d" % i, token=False)[0] for i in range(12)]
    assert found[0] == 403
    assert 429 in found
    assert web.ask("GET", "/api/v1/units")[0] == 200  # the token in a header is no guess


def test_api_tells_and_does(web: Web) -> None:
    assert [u["unit"] for u in web.get("/units?q=idle")["units"]] == ["idle.service"]
    found = web.get("/units/idle")
    assert found["processes"][0]["pid"] == found["unit"]["main_pid"] == web.manager.pid("idle.service")
    assert found["properties"]["Id"] == "idle.service"
    assert "ExecStart=/bin/sleep" in web.get("/units/idle.service/files")["files"][0]["text"]
    assert [line["text"] for line in web.get("/units/loud/logs?lines=1")["lines"]] == ["first"]
    assert web.get("/units/loud/logs?q=nothing")["lines"] == []
    assert web.ask("GET", "/api/v1/units/loud/logs?lines=many")[0] == 400
    assert web.ask("GET", "/api/v1/units/missing")[0] == 404
    assert web.ask("POST", "/api/v1/units/missing/start")[0] == 404
    assert web.ask("GET", "/unit/missing")[0] == 404
    assert web.ask("POST", "/api/v1/units/idle/explode")[0] == 404
    stream = web.stream("units=idle.service&stats=1")
    at, _, memory = stream.until("stats")["idle.service"]
    stream.close()
    assert any(abs(s["at"] - at) < 0.01 for s in web.get("/units/idle/stats")["units"]["idle.service"])
    assert memory > 0
    planned = web.get("/units/idle/preview/restart")
    assert "idle.service" in [j["unit"] for j in planned["jobs"]]
    before = web.manager.pid("idle.service")
    assert web.post("/units/idle/restart", wait=True)["ok"]
    assert web.manager.pid("idle.service") != before
    web.post("/units/idle/kill", signal="SIGKILL")
    web.manager.wait_for("idle.service", ActiveState="failed")
    web.post("/units/idle/reset-failed")
    web.manager.wait_for("idle.service", ActiveState="inactive")
    web.manager.write("wrong.service", "[Service]\nExecStart=/does/not/exist\nType=exec\n")
    web.manager.ok("daemon-reload")
    status, _, body = web.ask("POST", "/api/v1/units/wrong/start", b'{"wait": true}', Content_Type="application/json")
    assert status == 409
    assert "wrong.service" in json.loads(body)["error"]["message"]


def test_metrics_are_openmetrics(web: Web) -> None:
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    for path in ("/metrics", "/api/v1/metrics"):
        status, headers, body = web.ask("GET", path)
        assert status == 200
        assert headers["content-type"].startswith("application/openmetrics-text")
        families = {f.name: f for f in parser.text_string_to_metric_families(body.decode())}
        assert any(s.labels.get("unit") == "idle.service" for f in families.values() for s in f.samples)


def test_scale(web: Web) -> None:
    web.manager.write("worker@.service", "[Service]\nExecStart=/bin/sleep 10000\n\n[X-Unitd]\nInstances=1\n")
    web.manager.ok("daemon-reload")
    web.manager.ok("start", "worker@1.service")
    stream = web.stream("units=worker@*")
    assert "2 instances" in web.get("/units/worker@1/preview/scale?instances=2")["notes"][0]
    assert web.post("/units/worker@1/scale", instances=2, wait=True)["ok"]
    stream.until("unit", unit="worker@2.service", active="active")
    assert web.post("/units/worker@1/scale", instances=0, wait=True)["ok"]
    stream.until("unit", unit="worker@2.service", active="inactive")
    stream.close()
    web.manager.wait_for("worker@1.service", ActiveState="inactive")
    assert web.ask("POST", "/api/v1/units/worker@1/scale", b"{}", Content_Type="application/json")[0] == 400


def test_unicode_and_hostile_names(web: Web) -> None:
    status, _, body = web.ask("GET", "/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert status == 200
    assert b"<script>alert" not in body
    web.manager.write("say@.service", "[Unit]\nDescription=\"><script>alert(1)</script> %i\n[Service]\nExecStart=/bin/sleep 10000\n")
    instance = "say@a\\x2db:c.service"
    web.manager.ok("daemon-reload")
    web.manager.ok("start", instance)
    assert [u["unit"] for u in web.get("/units?q=say@")["units"]] == [instance]
    for path in ("/", "/unit/say@a%5Cx2db:c.service"):
        status, _, body = web.ask("GET", path)
        assert status == 200
        assert b"<script>alert" not in body
        assert b"&lt;script&gt;alert(1)" in body
    assert web.post("/units/say@a%5Cx2db:c.service/stop", wait=True)["ok"]


def test_streams_resume(web: Web) -> None:
    spoken = web.manager.base / "spoken"
    first = web.stream("units=idle.service")
    web.get("/snapshot")
    first.until("reset")
    place = first.settle()
    web.manager.ok("stop", "idle.service")
    assert first.until("unit", active="inactive")["unit"] == "idle.service"
    first.close()
    web.manager.ok("start", "idle.service")
    again = web.stream("units=idle.service", place)
    assert again.until("unit", active="inactive")
    assert again.until("unit", active="active", sub="running")
    again.close()
    lost = web.stream("", "0123abcd.7")
    lost.until("reset")
    lost.close()

    output = web.stream("units=loud.service&logs=10")
    assert [line["text"] for line in output.until("log")["lines"]] == ["first"]
    place = output.settle()
    output.close()
    with spoken.open("a") as file:
        file.write("second\nthird\n")
    seen = web.stream("units=loud.service&logs=10")
    seen.until("log")
    seen.close()
    more = web.stream("units=loud.service&logs=10", place)
    found: list[str] = []
    while len(found) < 2:
        found += [line["text"] for line in more.until("log")["lines"]]
    assert found == ["second", "third"]
    with spoken.open("a") as file:
        file.write("fourth\n")
    assert [line["text"] for line in more.until("log")["lines"]] == ["fourth"]
    more.close()


def test_streams_survive_the_manager(web: Web) -> None:
    stream = web.stream("")
    stream.until("reset")
    os.kill(web.manager.manager_pid(), signal.SIGKILL)
    stream.until("connection", state="reconnecting")
    stream.until("connection", state="live")
    stream.until("reset")
    web.manager.ok("stop", "idle.service")
    assert stream.until("unit", unit="idle.service", active="inactive")
    stream.close()


def test_a_client_that_never_reads_holds_up_nobody(web: Web) -> None:
    stuck = []
    for _ in range(20):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", web.port))
        connection.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\nAuthorization: Bearer {web.token}\r\n\r\n".encode())
        stuck.append(connection)
    stream = web.stream("units=idle.service")
    before = web.memory()
    for number in range(30):
        web.manager.ok("stop" if number % 2 == 0 else "start", "idle.service")
        stream.until("unit", active="inactive" if number % 2 == 0 else "active")
    assert web.memory() - before < 20_000_000
    stream.close()
    for connection in stuck:
        connection.close()


def test_gone_manager_is_said(web: Web) -> None:
    assert web.get("/units")["units"]
    web.manager.stop()
    status, _, body = web.ask("GET", "/api/v1/units/idle")
    assert status == 503
    assert json.loads(body)["error"]["code"] == "unreachable"
    assert web.ask("GET", "/unit/idle")[0] == 503


def test_read_only_public_and_password(manager: Manager) -> None:
    manager.write("idle.service", "[Service]\nExecStart=/bin/sleep 10000\n")
    secret = manager.base / "secret"
    secret.write_text("sesame\n")
    secret.chmod(0o600)
    manager.boot("idle.service")
    manager.wait_for("idle.service", SubState="running")
    with Web(manager, "--read-only", "--public-read", "--password-file", str(secret), "--host", "status.example.org") as web:
        assert web.ask("GET", "/api/v1/units", token=False)[0] == 200
        assert web.ask("POST", "/api/v1/units/idle/stop")[0] == 403
        assert b'data-action="stop"' not in web.ask("GET", "/unit/idle")[2]
        assert web.ask("GET", "/", token=False, Host="status.example.org")[0] == 200
        assert web.ask("POST", "/login", b"token=sesame", token=False)[0] == 303
        assert web.ask("POST", "/login", b"token=", token=False)[0] == 403


def test_takes_the_socket_and_ends_when_idle(manager: Manager) -> None:
    manager.boot()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        web = Web(manager, "--idle-exit", "0.5", listener=listener)
        assert web.port == listener.getsockname()[1]
        stream = web.stream("seconds=2")
        stream.next()
        assert web.process.poll() is None
        stream.close()
        assert web.process.wait(PATIENCE) == 0
        web.close()


def test_unix_socket_and_bad_addresses(manager: Manager) -> None:
    manager.boot()
    path = manager.base / "page"
    with Web(manager, "--listen", f"unix:{path}") as web:
        assert os.stat(path).st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(f"GET /api/v1/units HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {web.token}\r\nConnection: close\r\n\r\n".encode())
            assert connection.makefile("rb").readline().startswith(b"HTTP/1.1 200")
    readable = manager.base / "readable"
    readable.write_text("x\n")
    readable.chmod(0o644)
    for options, word in (
        (["--listen", "0.0.0.0:0"], "loopback"),
        (["--listen", "nonsense"], "no address"),
        (["--listen", "127.0.0.1:99999"], "no address"),
        (["--listen", f"unix:{manager.base}/no/such/dir"], "No such file"),
        (["--listen", "127.0.0.1:0", "--password-file", str(readable)], "chmod 600"),
    ):
        done = manager.call([sys.executable, "-m", "unitd.web", *options])
        assert done.returncode == 1, options
        assert word in done.stderr, (options, done.stderr)
        assert "Traceback" not in done.stderr


def test_schemathesis_finds_no_fault(web: Web) -> None:
    document = web.get("/openapi.json")
    assert document["openapi"].startswith("3.1")
    command = [
        sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run", f"{web.address}api/v1/openapi.json",
        "--header", f"Authorization: Bearer {web.token}", "--checks", "not_a_server_error,content_type_conformance,response_schema_conformance",
        "--exclude-path", "/api/v1/events", "--exclude-path", "/api/v1/metrics", "--max-examples", "8", "--seed", "7", "--phases", "examples,coverage,fuzzing",
        "--request-timeout", "30", "--no-color", "--max-failures", "5",
    ]  # fmt: skip
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=110, cwd=web.manager.base)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
