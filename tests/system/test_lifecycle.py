"""Whole stories through the real unitd and unitctl."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.harness import ROOT, UNITCTL, Manager, absent, alive, need

SLEEPER = "[Service]\nExecStart=/bin/sleep 1000\n"


def test_start_stop_restart_and_their_exit_codes(manager: Manager) -> None:
    manager.write("web.service", SLEEPER)
    manager.boot()
    assert manager.ctl("status", "web").returncode == 3
    manager.ok("start", "web")
    assert manager.ok("is-active", "web") == "active\n"
    first = manager.pid("web")
    manager.ok("restart", "web")
    assert manager.pid("web") != first
    assert not alive(first)
    manager.ok("stop", "web")
    assert manager.ctl("is-active", "web").stdout == "inactive\n"
    assert manager.ctl("start", "nope").returncode == 5
    assert manager.ctl("status", "nope").returncode == 4
    assert manager.ctl("frobnicate", "web").returncode == 1


def test_a_failing_start_says_why_with_the_last_lines(manager: Manager) -> None:
    manager.write("bad.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo the reason; exit 7'\n")
    manager.write("gone.service", "[Service]\nType=exec\nExecStart=/nonexistent/program\n")
    manager.boot()
    done = manager.ctl("start", "bad")
    assert done.returncode == 1
    assert "Job for bad.service failed because the control process exited with error code." in done.stderr
    assert "the reason" in done.stderr
    done = manager.ctl("start", "gone")
    assert done.returncode == 1
    assert "EXEC" in done.stderr
    assert manager.show("gone.service", "ExecMainStatus") == "203"


def test_backoff_is_visible_and_a_stop_wins(manager: Manager) -> None:
    manager.write("flaky.service", "[Service]\nExecStart=/bin/false\nRestart=on-failure\nRestartSec=300\n")
    manager.boot()
    manager.ctl("start", "flaky")
    manager.wait_for("flaky.service", SubState="auto-restart")
    status = manager.ctl("status", "flaky")
    assert status.returncode == 3
    assert "restarts in" in status.stdout
    assert "attempt 1 of 5" in status.stdout
    manager.ok("stop", "flaky")
    assert manager.ctl("is-active", "flaky").stdout == "inactive\n"


def test_start_limit_and_reset_failed(manager: Manager) -> None:
    manager.write("loop.service", "[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=0\n")
    manager.boot()
    manager.ctl("start", "loop")
    manager.wait_for("loop.service", ActiveState="failed")
    assert manager.ctl("is-failed", "loop").returncode == 0
    assert "attempted too often" in manager.ctl("start", "loop").stderr
    manager.ok("reset-failed", "loop")
    assert manager.ctl("is-active", "loop").stdout == "inactive\n"


def test_the_manager_may_be_killed(manager: Manager) -> None:
    manager.write("web.service", "[Service]\nExecStart=/bin/sh -c 'echo before; read x; echo never'\nStandardInput=null\nExecStart=\nExecStart=/bin/sleep 1000\nRestart=always\nRestartSec=0\n")
    manager.boot()
    manager.ok("start", "web")
    service = manager.pid("web")
    manager.kill_manager()
    assert manager.pid("web") == service
    assert alive(service)
    os.kill(service, signal.SIGKILL)
    manager.wait_for("web.service", NRestarts="1", ActiveState="active")
    assert manager.pid("web") not in (0, service)
    manager.ok("stop", "web")


def test_stop_leaves_nothing_behind(any_manager: Manager) -> None:
    manager = any_manager
    manager.write("tree.service", "[Service]\nExecStart=/bin/sh -c 'setsid sleep 1000 & echo $$! ; sleep 1000 & echo $$!; echo $$$$; wait'\nTimeoutStopSec=5\n")
    manager.boot()
    manager.ok("start", "tree")
    main = manager.pid("tree")
    pids = [main]
    while len(pids) < 3:
        pids = [main, *(int(p) for p in Path(f"/proc/{main}/task/{main}/children").read_text().split())]
    manager.ok("stop", "tree")
    assert [p for p in pids if alive(p)] == []
    assert manager.show("tree.service", "Result") == "success"


def test_a_tree_that_ignores_signals_is_killed(any_manager: Manager) -> None:
    manager = any_manager
    manager.write("deaf.service", "[Service]\nExecStart=/bin/sh -c 'trap \"\" TERM; setsid sh -c \"trap : TERM; while :; do sleep 1; done\" & while :; do sleep 1; done'\nTimeoutStopSec=1\n")
    manager.boot()
    manager.ok("start", "deaf")
    main = manager.pid("deaf")
    manager.ok("stop", "deaf")
    assert not alive(main)
    assert manager.show("deaf.service", "Result") == "timeout"


def test_bad_unit_files_fail_alone_and_say_where(manager: Manager) -> None:
    manager.write("good.service", SLEEPER)
    manager.write("section.service", "[Service\nExecStart=/bin/true\n")
    manager.write("quotes.service", "[Service]\nExecStart=/bin/sh -c 'x\n")
    manager.write("specifier.service", "[Service]\nExecStart=/bin/echo %Z\n")
    (manager.units / "binary.service").write_bytes(b"[Unit]\n\0\xff")
    (manager.units / "latin.service").write_bytes(b"[Unit]\nDescription=\xe9\n")
    (manager.units / "huge.service").write_bytes(b"# x\n" * (10 << 18))
    (manager.units / "dir.service").mkdir()
    manager.boot(start="all")
    assert manager.ok("is-active", "good") == "active\n"
    for name, line in (("section", 1), ("quotes", 2), ("specifier", 2), ("binary", 2), ("latin", 2)):
        place = f"{manager.units}/{name}.service:{line}"
        assert manager.ctl("start", name).returncode == 1
        assert place in manager.ctl("status", name).stdout
    for name in ("huge", "dir"):
        assert manager.ctl("start", name).returncode == 1
        assert str(manager.units / f"{name}.service") in manager.ctl("status", name).stdout
    verify = manager.ctl("verify", str(manager.units))
    assert verify.returncode == 1
    assert f"{manager.units}/quotes.service:2: error" in verify.stdout + verify.stderr
    assert manager.ctl("verify", str(manager.units / "good.service")).returncode == 0


def test_a_dropped_in_file_starts_by_name_and_after_reload(manager: Manager) -> None:
    manager.boot()
    manager.write("new.service", SLEEPER)
    manager.ok("start", "new")
    manager.write("new.service", SLEEPER + "Environment=A=1\n")
    assert manager.show("new.service", "NeedDaemonReload") == "yes"
    before = manager.pid("new")
    manager.ok("daemon-reload")
    assert manager.show("new.service", "NeedDaemonReload") == "no"
    assert manager.pid("new") == before
    assert manager.show("new.service", "Environment") == "A=1"


def test_enable_disable_mask(manager: Manager) -> None:
    manager.write("e.service", SLEEPER + "[Install]\nWantedBy=multi-user.target\n")
    manager.boot()
    assert manager.ctl("is-enabled", "e").stdout == "disabled\n"
    manager.ok("enable", "--now", "e")
    assert (manager.units / "multi-user.target.wants" / "e.service").is_symlink()
    assert manager.ok("is-enabled", "e") == "enabled\n"
    assert manager.ok("is-active", "e") == "active\n"
    manager.ok("disable", "--now", "e")
    assert manager.ctl("is-active", "e").returncode == 3
    assert manager.ctl("is-enabled", "e").stdout == "disabled\n"
    manager.ok("mask", "other.service")
    assert "masked" in manager.ctl("start", "other").stderr
    manager.ok("unmask", "other.service")


def test_templates_and_output(manager: Manager) -> None:
    manager.write("t@.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/echo one %i\nExecStart=/bin/sh -c 'echo two >&2'\n")
    manager.boot()
    manager.ok("start", "t@a", "t@b")
    assert manager.ok("logs", "-n", "5", "t@a").splitlines()[-2].endswith("one a")
    assert manager.ok("logs", "-n", "5", "t@b").splitlines()[-1].endswith("two")
    assert "t@a.service" in manager.ok("list-units")
    assert manager.ctl("start", "t@.service").returncode == 1


def test_forking_with_a_pid_file(manager: Manager) -> None:
    pid_file = manager.base / "d.pid"
    manager.write("d.service", f"[Service]\nType=forking\nPIDFile={pid_file}\nExecStart=/bin/sh -c 'sleep 1000 & echo $$! > {pid_file}'\n")
    manager.boot()
    manager.ok("start", "d")
    pid = manager.pid("d")
    assert pid == int(pid_file.read_text())
    os.kill(pid, signal.SIGKILL)
    manager.wait_for("d.service", ActiveState="failed", Result="signal")


def test_notify_makes_a_service_active(manager: Manager) -> None:
    program = "import os,socket,time\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\ns.connect(os.environ['NOTIFY_SOCKET'])\ns.send(b'READY=1\\nSTATUS=all set')\ntime.sleep(1000)\n"
    script = manager.base / "n.py"
    script.write_text(program)
    manager.write("n.service", f"[Service]\nType=notify\nExecStart={sys.executable} {script}\n")
    manager.boot()
    manager.ok("start", "n")
    assert manager.show("n.service", "StatusText") == "all set"
    assert 'Status: "all set"' in manager.ok("status", "n")


def test_garbage_on_the_bus_is_harmless(manager: Manager) -> None:
    import zmq

    manager.boot()
    for rubbish in (b"", b"x" * 100_000, os.urandom(512)):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(manager.run / "bus"))
            raw.send(rubbish or b"\xff")
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.linger = 0
    dealer.connect(f"ipc://{manager.run}/bus")
    for frames in ([b"not json"], [b"{}", b"{}", b"{}"], [b'{"verb": 5}'], [b'{"verb": "start", "units": ["\\u0000/../x"]}']):
        dealer.send_multipart(frames)
    dealer.close()
    context.term()
    assert manager.ok("ping") == "pong\n"


def test_a_second_unitd_is_refused_and_a_stale_socket_is_not(manager: Manager) -> None:
    manager.boot()
    second = manager.call(manager.command())
    assert second.returncode == 1
    assert "another unitd runs" in second.stderr
    manager.kill_unitd()
    manager.boot()
    assert manager.ok("ping") == "pong\n"


def test_sigterm_stops_in_order(manager: Manager) -> None:
    out = manager.base / "order"
    for name, extra in (("first", ""), ("second", "After=first.service\n")):
        manager.write(f"{name}.service", f"[Unit]\n{extra}[Service]\nExecStart=/bin/sleep 1000\nExecStop=/bin/sh -c 'echo {name} >> {out}'\n")
    manager.boot(start="all")
    manager.wait_for("second.service", ActiveState="active")
    manager.wait_for("first.service", ActiveState="active")
    assert manager.stop() == 0
    assert out.read_text().split() == ["second", "first"]


def test_without_root(manager: Manager) -> None:
    """As uid 65534, from a copy that it can read."""
    need("setpriv")
    python = f"/usr/bin/python3.{sys.version_info.minor}"
    if os.getuid() != 0 or not os.path.exists(python):
        absent(f"needs root and {python}")
    site = manager.base / "site"
    ignore = shutil.ignore_patterns("__pycache__", "tests", ".git", ".venv", "pip", "mypy*", "hypothesis", "ruff*", "grimp")
    shutil.copytree(ROOT / "unitd", site / "unitd", ignore=ignore)
    for name in ("zmq", "msgspec", "psutil", "daemon", "lockfile", "configobj", "validate", "packaging"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations:
            shutil.copytree(next(iter(spec.submodule_search_locations)), site / name, ignore=ignore, dirs_exist_ok=True)
    for pattern in ("pyzmq.libs", "setproctitle*", "_psutil*"):
        for path in Path(sysconfig.get_path("platlib")).glob(pattern):
            if path.is_dir():
                shutil.copytree(path, site / path.name)
            else:
                shutil.copy(path, site)
    manager.write("u.service", SLEEPER)
    for path in (manager.base, manager.units):
        os.chown(path, 65534, 65534)
    manager.environ.update(HOME=str(manager.base), PYTHONPATH=str(site))
    manager.wrap, manager.python = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"], python
    manager.boot()
    manager.environ["PYTHONPATH"] = str(ROOT)
    manager.ok("start", "u")
    status = manager.ctl("status", "u").stdout
    assert manager.pid("u") > 0, status + manager.said()
    assert os.stat(f"/proc/{manager.pid('u')}").st_uid == 65534
    manager.ok("stop", "u")


def test_run_from_a_bare_checkout() -> None:
    done = subprocess.run([*UNITCTL, "--bus", "/nonexistent/run", "ping"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "cannot reach unitd at" in done.stderr
