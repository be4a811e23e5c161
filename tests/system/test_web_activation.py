"""unitd starts its own status page at the first visit."""

from __future__ import annotations

import http.client
import json
import sys

from tests.harness import PATIENCE, Manager, free_port


def test_unitd_brings_its_page_along(manager: Manager) -> None:
    port = free_port()
    manager.write("unitd-status.socket.d/port.conf", f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\n")
    manager.write("unitd-status.service.d/idle.conf", "[Service]\nExecStart=\nExecStart=" + f"{sys.executable} -m unitd.web --bus {manager.run} --idle-exit 1\n")
    manager.boot()
    assert "unitd-status" not in manager.ok("list-units", "--all")
    assert manager.ok("enable", "unitd-status.socket") == ""
    assert manager.ok("is-enabled", "unitd-status.socket").strip() == "enabled"
    address = manager.ok("web").strip()
    token = manager.ok("web", "--token").strip()
    assert address == f"http://127.0.0.1:{port}/#token={token}"
    assert manager.ok("web", "--url").strip() == f"http://127.0.0.1:{port}/"
    assert (manager.run / "web.token").stat().st_mode & 0o777 == 0o600
    assert manager.show("unitd-status.service", "ActiveState") == "inactive"
    for _ in range(2):  # the second visit finds it gone, and starts it again
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/api/v1/units", headers={"Authorization": f"Bearer {token}", "Connection": "close"})
        answer = connection.getresponse()
        assert answer.status == 200
        assert "unitd-status.service" in [u["unit"] for u in json.loads(answer.read())["units"]]
        connection.close()
        manager.wait_for("unitd-status.service", ActiveState="inactive", Result="success")
        assert manager.show("unitd-status.socket", "SubState") == "listening"
    manager.ok("stop", "unitd-status.socket")
