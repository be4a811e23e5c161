"""cgroups and the /proc scan, on real processes."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator

import pytest

from unitd.manager import child, proctree
from unitd.manager.cgroup import CgroupTree
from unitd.manager.spawner import Spawner


@pytest.fixture
def tree() -> Iterator[CgroupTree]:
    found = CgroupTree.probe(os.getpid())
    if found is None:
        pytest.skip("no cgroup2 tree of our own here")
    yield found
    found.remove(found.base)


def test_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNITD_CGROUP", "off")
    assert CgroupTree.probe() is None


@pytest.mark.parametrize("clone3", [True, False])
def test_one_unit(tree: CgroupTree, clone3: bool) -> None:
    path = tree.make("a@1.service")
    fd = tree.events_fd(path)
    assert not tree.populated(path)
    error_r, error_w = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    spawner = Spawner(child.Surroundings(error_w, (1024, 4096)), clone3=clone3)
    script = "import os\nif os.fork() == 0: os.setsid()\nos.read(0, 1)"
    reader, writer = os.pipe2(os.O_CLOEXEC)
    [(pid, errno, pidfd)] = spawner.spawn(
        [{"id": "x", "path": sys.executable, "argv": ["python", "-c", script], "env": [], "cgroup": path, "stdin": 0}], [reader]
    )
    assert (errno, pidfd >= 0) == (0, True)
    poll = select.poll()
    poll.register(fd, select.POLLPRI)
    while not tree.populated(path):
        os.pread(fd, 4096, 0)
        poll.poll(10_000)
    assert pid in tree.pids(path)
    assert tree.unit_of(pid) == "a@1.service"
    assert tree.unit_of(1) is None
    assert not tree.remove(path)
    tree.kill(path)
    while tree.populated(path):
        os.pread(fd, 4096, 0)
        poll.poll(10_000)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9
    assert tree.pids(path) == []
    assert tree.remove(path)
    assert tree.events_fd(path) == -1
    for number in (fd, error_r, error_w, reader, writer, pidfd):
        os.close(number)


def test_processes_of_a_unit() -> None:
    """Child in its own session, double-forked daemon: found by descent and by the tag in the environment."""
    script = (
        "import os\n"
        "if os.fork() == 0:\n os.setsid()\n os.write(1, b'%d\\n' % os.getpid())\n os.read(0, 1)\n os._exit(0)\n"
        "os.write(1, b'%d\\n' % os.getpid())\nos.read(0, 1)\n"
    )
    env, pipe = {"INVOCATION_ID": "ab" * 16}, subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe, env=env, start_new_session=True) as main:
        assert main.stdout is not None
        pids = {int(main.stdout.readline()), int(main.stdout.readline())}
        assert main.pid in pids
        assert proctree.unit_pids("", {main.pid}, set(), set()) == pids
        assert proctree.unit_pids("", set(), {main.pid}, set()) == pids
        assert proctree.unit_pids("ab" * 16, set(), set(), set()) == pids  # we are its parent: tagged, then its descendants
        assert proctree.unit_pids("cd" * 16, set(), set(), set()) == set()
        assert proctree.unit_pids("", {main.pid}, set(), {main.pid}) == set()
        main.communicate(b"xx")
    assert proctree.unit_pids("", {main.pid}, set(), set()) == set()
