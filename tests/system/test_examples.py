"""The stack that `make run` starts, on a port of its own."""

from __future__ import annotations

import shutil
import urllib.request

from tests.harness import ROOT, Manager, free_port


def test_the_example_stack_serves_and_backs_off(manager: Manager) -> None:
    port = free_port()
    shutil.copytree(ROOT / "contrib" / "examples", manager.units, dirs_exist_ok=True)
    path = manager.units / "web.socket"
    path.write_text(path.read_text().replace("8642", str(port)))
    manager.boot(start="all")
    for worker in ("web@1.service", "web@2.service"):
        manager.wait_for(worker, ActiveState="active", SubState="running")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
        assert b"hello from worker" in answer.read()
    manager.wait_for("flaky.service", SubState="auto-restart")
    assert "restarts in" in manager.ctl("status", "flaky").stdout
    manager.ok("restart", "web@1", "web@2")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
        assert b"hello from worker" in answer.read()
