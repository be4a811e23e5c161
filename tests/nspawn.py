"""A machine that systemd has booted: a container of systemd-nspawn on a Debian root that is made once."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.harness import ROOT, absent, need, poll
from tests.harness.processes import children

CACHE = Path(os.environ.get("UNITD_TEST_ROOT", "/var/tmp/unitd-test-bookworm"))
#: Seconds for what takes longer in a container.
BOOT = 90.0
ENVIRON = {"PATH": "/opt/unitd/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
#: Not /usr/local: that may be where this Python is, and is read-only then.
BIN = "/opt/unitd/bin"


def debian() -> Path:
    """The root directory of a small Debian with systemd, made at the first use. It is never written to."""
    if not (CACHE / "usr/lib/systemd/systemd").exists():
        with open(f"{CACHE}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (CACHE / "usr/lib/systemd/systemd").exists():
                new = Path(f"{CACHE}.new")
                command = ["debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv,dbus,python3", "bookworm", str(new)]
                for _ in range(3):  # a mirror may be busy
                    shutil.rmtree(new, ignore_errors=True)
                    done = subprocess.run(command, capture_output=True, text=True, check=False)
                    if done.returncode == 0:
                        break
                assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
                new.rename(CACHE)
    return CACHE


class Machine:
    """A booted container that sees this checkout and this Python; what it writes is gone with it."""

    def __init__(self) -> None:
        if os.getuid() != 0:
            absent("needs root")
        need("systemd-nspawn", "debootstrap", "nsenter")
        self.python = str(Path(sys.prefix) / "bin" / "python3")
        self.log = tempfile.TemporaryFile()
        places = dict.fromkeys(os.path.realpath(p) for p in (ROOT, sys.prefix, sys.base_prefix))
        shared = [f"--bind-ro={p}" for p in places if p not in ("/", "/usr")]
        options = ["--register=no", "--keep-unit", "--console=pipe", "--link-journal=no", f"--machine=unitd-test-{os.getpid()}"]
        command = ["systemd-nspawn", "-D", str(debian()), "--volatile=overlay", "-b", *options, *shared]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd="/")
        self.inner = 0
        poll(self.up, "it does not come up", BOOT, 0.2)

    def up(self) -> bool:
        """Has systemd started everything?"""
        assert self.process.poll() is None, self.said()
        return self.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded")

    def said(self) -> str:
        """What came on the console."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-4000:]

    def run(self, *command: str, check: bool = True, stdin: str | None = None, timeout: float = 90) -> str:
        """Run a command in the container; its standard output."""
        if not self.inner:
            below = children(self.process.pid)
            if not below:
                return ""
            self.inner = below[0]
        enter = ["nsenter", "-t", str(self.inner), "-m", "-p", "-u", "-i", "-n", "-C"]
        done = subprocess.run([*enter, *command], capture_output=True, text=True, input=stdin or "", timeout=timeout, check=False, env=ENVIRON)
        assert not check or done.returncode == 0, (command, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """A file in the container."""
        self.run("sh", "-c", f"mkdir -p {os.path.dirname(path)}; cat >{path}", stdin=text)

    def install(self) -> None:
        """unitd as contrib/systemd/README.md says."""
        self.run("mkdir", "-p", BIN)
        for name in ("unitd", "unitctl"):
            self.run("ln", "-sf", f"{Path(sys.prefix) / 'bin' / name}", f"{BIN}/{name}")
        for name in ("unitd.service", "unitd.socket"):
            self.write(f"/etc/systemd/system/{name}", (ROOT / "contrib/systemd" / name).read_text().replace("/usr/local/bin", BIN))
        self.run("systemctl", "daemon-reload")

    def close(self) -> None:
        """Switch it off, hard."""
        if self.inner:
            os.kill(self.inner, signal.SIGKILL)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
