"""Transient units, set-property, edit, revert and link with the real unitd."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.harness import PATIENCE, UNITCTL, Manager, alive, file_has, poll
from tests.harness.terminal import Pty


def transient(manager: Manager) -> list[str]:
    """Files of transient units."""
    return [path.name for path in (manager.run / "transient").glob("[!.]*")]


def test_the_exit_status_is_the_commands(manager: Manager) -> None:
    manager.boot()
    done = manager.ctl("run", "--wait", "sh", "-c", "exit 7")
    assert done.returncode == 7
    assert "Running as unit: run-r" in done.stderr
    assert "Finished with result: exit-code" in done.stderr
    assert "code=exited/status=7" in done.stderr
    assert manager.ctl("run", "--wait", "-G", "sh", "-c", "kill -9 $$$$").returncode == 255
    assert manager.ctl("run", "--wait", "true").returncode == 0
    assert manager.ctl("run", "--wait", "--", "sh", "-c", "exit 3").returncode == 3
    failed = manager.ok("list-units", "--failed", "--no-legend", "--plain").splitlines()
    assert len(failed) == 2  # the one with -G is forgotten
    manager.ok("reset-failed")
    poll(lambda: not transient(manager), "files of transient units stay")


def test_pipe(manager: Manager) -> None:
    """The command has the caller's own standard input, output and error, and its directory if it asks for that."""
    manager.boot()
    words = ["-d", "-E", "WORD=a  b", "sh", "-c", 'read x; echo "$x $WORD"; pwd; echo no >&2; exit 5']
    done = manager.ctl("run", "--pipe", *words, input="hello\n")
    assert (done.returncode, done.stdout, done.stderr) == (5, f"hello a  b\n{manager.base}\n", "no\n")
    big = manager.ctl("run", "--pipe", "cat", input="x" * 3_000_000)
    assert len(big.stdout) == 3_000_000


def test_a_transient_unit_survives_the_manager_and_goes_with_its_end(manager: Manager) -> None:
    manager.boot()
    assert "Running as unit: nap.service" in manager.ctl("run", "--unit=nap", "--description=A nap", "-p", "Nice=3", "sleep", "1000").stderr
    assert manager.ctl("run", "--unit=nap", "sleep", "1000").returncode == 1
    pid = manager.pid("nap")
    manager.kill_manager()
    assert manager.pid("nap") == pid
    assert (manager.show("nap", "Transient"), manager.show("nap", "Description"), os.getpriority(os.PRIO_PROCESS, pid)) == ("yes", "A nap", 3)
    assert '"/usr/bin/sleep"' in manager.ok("cat", "nap") or '"/bin/sleep"' in manager.ok("cat", "nap")
    manager.ok("stop", "nap")
    assert manager.ctl("status", "nap").returncode == 4
    assert not (manager.run / "transient/nap.service").exists()


def pings(manager: Manager) -> int:
    """How many pings this manager has answered."""
    with manager.client() as client:
        return int(float(next((line.split()[-1] for line in client.metrics().splitlines() if line.startswith('unitd_bus_requests_total{verb="ping"')), "0")))


def test_the_wait_goes_on_with_the_next_manager(manager: Manager) -> None:
    manager.boot()
    go = manager.base / "go"
    os.mkfifo(go)
    command = [*UNITCTL, "run", "--wait", "--unit=long", "sh", "-c", f"read x <{go}; exit 6"]
    client = subprocess.Popen(command, env=manager.environ, stderr=subprocess.PIPE, text=True)
    manager.wait_for("long.service", SubState="running")
    manager.kill_manager()
    # the end would be forgotten with the unit if nobody had asked the next manager for it: who waits there is heard of every other second
    before = pings(manager)
    poll(lambda: pings(manager) > before, "the client does not go on with the next manager", pause=0.1)
    go.write_text("now\n")
    client.communicate(timeout=PATIENCE)
    assert client.returncode == 6


def test_a_transient_timer_goes_when_it_has_elapsed(manager: Manager) -> None:
    manager.boot()
    out = manager.base / "out"
    done = manager.ctl("run", "--unit=later", "--on-active=100ms", "--timer-property=AccuracySec=1ms", "sh", "-c", f"echo $TRIGGER_UNIT >{out}")
    assert "Running timer as unit: later.timer" in done.stderr
    file_has(manager.run / "transient" / "later.timer", lambda path: not path.exists() and not transient(manager))
    assert out.read_text() == "later.timer\n"
    assert "later" not in manager.ok("list-units", "--all")


def test_a_transient_path_unit(manager: Manager) -> None:
    manager.boot()
    out, wanted = manager.base / "out", manager.base / "wanted"
    manager.ok("run", "--unit=seen", f"--path-property=PathExists={wanted}", "sh", "-c", f"rm {wanted}; echo $TRIGGER_PATH >{out}")
    wanted.touch()
    manager.wait_for("seen.service", Result="success", ActiveState="inactive", ExecMainCode="1")
    assert out.read_text() == f"{wanted}\n"
    manager.ok("stop", "seen.path")


def test_what_cannot_be_run(manager: Manager) -> None:
    manager.boot()
    for words, message in (
        (["no-such-program"], "Failed to find executable no-such-program"),
        (["-p", "Foo=1", "true"], "cannot set Foo=, because it is no directive of a service"),
        (["-p", "Nice=99", "true"], "99 is out of range"),
        (["--scope", "true"], "Cannot run a scope"),
        (["--on-active=1", "--wait", "true"], "Cannot wait"),
        (["--on-calendar=often", "true"], "as a calendar expression"),
        (["-E", "NO_SUCH_VARIABLE_HERE", "true"], "is not set"),
        ([], "Too few arguments"),
    ):
        done = manager.ctl("run", *words)
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    poll(lambda: not transient(manager), "files of transient units stay")


PROGRAM = """
import os, signal, sys
signal.signal(signal.SIGINT, lambda *_: os.write(1, b"caught\\n"))
signal.signal(signal.SIGWINCH, lambda *_: os.write(1, b"%d %d\\n" % tuple(reversed(os.get_terminal_size(0)))))
print(os.ttyname(0), os.environ["TERM"], "leader" if os.tcgetpgrp(0) == os.getpid() else "", "ready", flush=True)
for line in iter(sys.stdin.readline, ""):
    print("got", line, flush=True)
sys.exit(9)
"""


def test_pty(manager: Manager) -> None:
    """The command has a controlling terminal of the right size and kind; keys, ^C and a change of size reach it."""
    import fcntl
    import struct
    import termios

    manager.boot()
    program = manager.base / "program.py"
    program.write_text(PROGRAM)
    terminal = Pty([*UNITCTL, "run", "--pty", sys.executable, str(program)], manager.environ)
    terminal.expect("ready")
    assert "/dev/pts/" in terminal.text
    assert "xterm leader ready" in terminal.text
    terminal.type("one\r")
    terminal.expect("got one")
    terminal.type("\x03")
    terminal.expect("caught")
    fcntl.ioctl(terminal.fd, termios.TIOCSWINSZ, struct.pack("4H", 33, 77, 0, 0))
    terminal.expect("33 77")
    terminal.type("\x04")
    assert terminal.wait() == 9, terminal.text


def test_set_property(manager: Manager) -> None:
    manager.write("web.service", "# mine\n[Service]\nExecStart=/bin/sleep 1000\nRestartSec=1\n")
    manager.boot()
    manager.ok("start", "web")
    pid = manager.pid("web")
    done = manager.ctl("set-property", "web", "Nice=4", "LimitNOFILE=123:456", "RestartSec=9", "Environment=A=1")
    assert done.returncode == 0
    assert "Environment= will count after 'unitctl restart web.service'" in done.stderr
    assert os.getpriority(os.PRIO_PROCESS, pid) == 4
    assert "123                  456" in Path(f"/proc/{pid}/limits").read_text()
    assert (manager.show("web", "RestartUSec"), manager.show("web", "NeedDaemonReload"), manager.pid("web")) == ("9s", "no", pid)
    assert (manager.units / "web.service").read_text().startswith("# mine")
    drop_in = manager.units / "web.service.d/50-Nice.conf"
    assert "[Service]\nNice=4\n" in drop_in.read_text()
    before = drop_in.read_text()
    bad = manager.ctl("set-property", "web", "RestartSec=1h", "Nice=77")
    assert bad.returncode == 1
    assert "77 is out of range" in bad.stderr
    assert (drop_in.read_text(), manager.show("web", "RestartUSec")) == (before, "9s")  # all or nothing
    empty = manager.ctl("set-property", "--runtime", "web", "RestartSec=")  # means nothing in a unit file
    assert (empty.returncode, "there is no value" in empty.stderr, manager.show("web", "RestartUSec")) == (1, True, "9s")
    manager.ok("set-property", "--runtime", "web", "RestartSec=3")
    assert manager.show("web", "RestartUSec") == "3s"
    assert "50-Nice.conf" in manager.ctl("revert", "web").stderr
    assert (manager.show("web", "RestartUSec"), manager.show("web", "Nice")) == ("1s", "0")
    assert alive(pid)


def test_edit(manager: Manager) -> None:
    manager.write("web.service", "[Service]\nExecStart=/bin/sleep 1000\n")
    manager.boot()
    editor = manager.base / "editor"
    editor.write_text('#!/bin/sh\nsed -n "s/^# ExecStart/seen &/p" "$1" >"$0.seen"\nsed -i "3a # why\\n[Service]\\nNice=6" "$1"\n')
    editor.chmod(0o755)
    manager.environ["EDITOR"] = str(editor)
    manager.ok("edit", "web")
    override = manager.units / "web.service.d/override.conf"
    assert override.read_text() == "# why\n[Service]\nNice=6\n"
    assert "seen # ExecStart=/bin/sleep 1000" in Path(f"{editor}.seen").read_text()
    assert manager.show("web", "Nice") == "6"

    def by_stdin(text: str, *options: str) -> subprocess.CompletedProcess[str]:
        return manager.ctl("edit", "--stdin", *options, "web", input=text)

    bad = by_stdin("[Service]\nNice=over\n")
    assert bad.returncode == 1
    assert "Nice=" in bad.stderr
    kept = Path(bad.stderr.rsplit(" ", 1)[1].strip())
    assert kept.read_text() == "[Service]\nNice=over\n"
    kept.unlink()
    assert override.read_text() == "# why\n[Service]\nNice=6\n"
    assert by_stdin("[Service]\nNice=7\n", "--drop-in=z-last", "--runtime").returncode == 0
    assert manager.show("web", "Nice") == "7"
    assert by_stdin("[Service]\nExecStart=/bin/sleep 2000\nNice=1\n", "--full").returncode == 0
    assert "sleep 2000" in (manager.units / "web.service").read_text()
    manager.environ["EDITOR"] = "true"
    done = manager.ctl("edit", "web")
    assert (done.returncode, "nothing was changed" in done.stderr) == (0, True)


def test_link(manager: Manager) -> None:
    elsewhere = manager.base / "far/away.service"
    elsewhere.parent.mkdir()
    elsewhere.write_text("[Service]\nExecStart=/bin/sleep 1000\n")
    manager.boot()
    assert "Created symlink" in manager.ctl("link", str(elsewhere)).stderr
    manager.ok("start", "away")
    assert manager.ctl("link", "/no/such.service").returncode == 1
