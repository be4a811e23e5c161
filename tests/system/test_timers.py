"""Timer and path units with the real unitd."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.harness import Manager, file_has

STAMPER = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo $TRIGGER_UNIT $TRIGGER_PATH >>{0}'\n"


def lines_of(path: Path, count: int) -> list[str]:
    """The lines of a file, once there are so many of them."""
    file_has(path, lambda path: path.exists() and len(path.read_text().splitlines()) >= count)
    return path.read_text().splitlines()


def test_a_timer_activates_its_service_again_and_again(manager: Manager) -> None:
    out = manager.base / "out"
    manager.write("tick.service", STAMPER.format(out) + "\n[Unit]\nStartLimitIntervalSec=0\n")
    manager.write("tick.timer", "[Timer]\nOnActiveSec=100ms\nOnUnitInactiveSec=100ms\n")
    manager.write("clock.service", STAMPER.format(f"{out}.clock") + "\n[Unit]\nStartLimitIntervalSec=0\n")
    manager.write("clock.timer", "[Timer]\nOnCalendar=*:*:*\nUnit=clock.service\n")
    manager.boot()
    manager.ok("start", "tick.timer", "clock.timer")
    assert {line.strip() for line in lines_of(out, 4)} == {"tick.timer"}
    assert {line.strip() for line in lines_of(Path(f"{out}.clock"), 2)} == {"clock.timer"}
    table = manager.ok("list-timers")
    assert "tick.service" in table
    assert "2 timers listed." in table
    assert manager.show("tick.timer", "SubState") in ("waiting", "running")
    assert "OnUnitInactiveUSec=100ms" in manager.show("tick.timer", "TimersMonotonic")
    assert manager.show("tick.service", "TriggeredBy") == "tick.timer"
    status = manager.ctl("status", "tick.timer").stdout
    assert "Trigger: " in status
    assert "tick.service" in status
    manager.ok("stop", "tick.timer", "clock.timer")
    assert "0 timers listed." in manager.ok("list-timers")


def test_the_remaining_time_survives_the_manager(manager: Manager) -> None:
    manager.write("late.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
    manager.write("late.timer", "[Timer]\nOnActiveSec=1h\nOnCalendar=2190-01-01\nRandomizedDelaySec=10min\n")
    manager.boot()
    manager.ok("start", "late.timer")
    before = [manager.show("late.timer", name) for name in ("NextElapseUSecMonotonic", "NextElapseUSecRealtime")]
    manager.kill_manager()
    assert [manager.show("late.timer", name) for name in ("NextElapseUSecMonotonic", "NextElapseUSecRealtime")] == before
    assert manager.show("late.timer", "SubState") == "waiting"


def test_a_timer_that_elapses_while_there_is_no_manager(manager: Manager) -> None:
    out = manager.base / "out"
    manager.write("soon.service", STAMPER.format(out))
    manager.write("soon.timer", "[Timer]\nOnActiveSec=500ms\n")
    manager.boot()
    manager.ok("start", "soon.timer")
    os.kill(manager.manager_pid(), signal.SIGKILL)
    assert lines_of(out, 1)[0].strip() == "soon.timer"
    manager.expect("ready (bus")
    manager.wait_for("soon.timer", SubState="elapsed")


def test_persistent_makes_up_for_what_was_missed(manager: Manager) -> None:
    out = manager.base / "out"
    manager.write("due.service", STAMPER.format(out))
    manager.write("due.timer", "[Timer]\nOnCalendar=monthly\nPersistent=yes\n")
    manager.boot()
    manager.ok("start", "due.timer")
    stamp = manager.base / "state/timers/stamp-due.timer"
    assert stamp.exists()
    assert manager.show("due.timer", "SubState") == "waiting"
    assert not out.exists()
    manager.ok("stop", "due.timer")
    os.utime(stamp, (1_000_000_000, 1_000_000_000))
    manager.ok("start", "due.timer")
    lines_of(out, 1)
    assert stamp.stat().st_mtime > 1_700_000_000


def test_an_enabled_timer_starts_with_unitd(manager: Manager) -> None:
    manager.write("daily.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
    manager.write("daily.timer", "[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n")
    manager.boot("none")
    manager.ok("enable", "daily.timer")
    manager.stop()
    manager.boot("default")
    manager.wait_for("daily.timer", SubState="waiting")


def test_a_timer_without_its_service_does_not_start(manager: Manager) -> None:
    manager.write("lone.timer", "[Timer]\nOnActiveSec=1\n")
    manager.boot()
    done = manager.ctl("start", "lone.timer")
    assert done.returncode == 1
    assert "lone.service, is not-found" in done.stdout + done.stderr


def test_a_new_definition_counts_at_once(manager: Manager) -> None:
    out = manager.base / "out"
    manager.write("x.service", STAMPER.format(out))
    manager.write("x.timer", "[Timer]\nOnActiveSec=1h\n")
    manager.boot()
    manager.ok("start", "x.timer")
    manager.write("x.timer", "[Timer]\nOnActiveSec=50ms\n")
    manager.ok("daemon-reload")
    lines_of(out, 1)


def test_paths(manager: Manager) -> None:
    """A file that appears below directories that are not there yet; a directory that fills; a file that changes, is replaced, and goes."""
    out, base = manager.base / "out", manager.base
    manager.write("come.path", f"[Path]\nPathExists={base}/deep/er/file\n")
    manager.write("come.service", STAMPER.format(out) + f"ExecStart=/bin/rm {base}/deep/er/file\n")
    manager.write("spool.path", f"[Path]\nDirectoryNotEmpty={base}/spool\nMakeDirectory=yes\nDirectoryMode=0700\n")
    manager.write("spool.service", STAMPER.format(out) + f"ExecStart=/bin/sh -c 'rm {base}/spool/*'\n")
    manager.write("glob.path", f"[Path]\nPathExistsGlob={base}/in/*.job\n")
    manager.write("glob.service", STAMPER.format(out) + f"ExecStart=/bin/sh -c 'rm {base}/in/*.job'\n")
    manager.write("conf.path", f"[Path]\nPathChanged={base}/conf\n")
    manager.write("conf.service", STAMPER.format(out))
    manager.boot()
    names = [f"{name}.path" for name in ("come", "spool", "glob", "conf")]
    manager.ok("start", *names)
    assert (base / "spool").stat().st_mode & 0o777 == 0o700
    assert "4 paths listed." in manager.ok("list-paths")
    assert f"{base}/conf (PathChanged)" in manager.show("conf.path", "Paths")
    seen = 0

    def expect(name: str, path: str) -> None:
        nonlocal seen
        seen += 1
        assert lines_of(out, seen)[seen - 1] == f"{name}.path {base}/{path}"
        manager.wait_for(f"{name}.path", SubState="waiting")

    (base / "deep/er").mkdir(parents=True)
    (base / "deep/er/file").touch()
    expect("come", "deep/er/file")
    (base / "spool/mail").touch()
    expect("spool", "spool")
    (base / "in").mkdir()
    (base / "in/a.txt").touch()
    (base / "in/b.job").touch()
    expect("glob", "in/b.job")
    (base / "conf").write_text("a")
    expect("conf", "conf")
    (base / "new").write_text("b")
    (base / "new").rename(base / "conf")
    expect("conf", "conf")
    (base / "conf").unlink()
    expect("conf", "conf")
    manager.kill_manager()
    (base / "spool/more").touch()
    expect("spool", "spool")
    manager.ok("stop", *names)


def test_explanations_without_a_manager(manager: Manager) -> None:
    manager.environ["TZ"] = "Europe/Berlin"
    text = manager.ok("calendar", "--base-time", "2027-03-27 12:00", "--iterations=2", "02:30")
    assert "Normalized form: *-*-* 02:30:00" in text
    assert "Mon 2027-03-29 02:30:00 CEST" in text
    assert "(in UTC): Mon 2027-03-29 00:30:00 UTC" in text
    done = manager.ctl("calendar", "Mon..Fri 09:00", "25:00")
    assert done.returncode == 1
    assert "the hour is not within 0..23" in done.stderr
    assert "UNIX seconds: @1353665533" in manager.ok("timestamp", "2012-11-23 11:12:13")
    assert "Human: 1h 30min" in manager.ok("timespan", "90min")
