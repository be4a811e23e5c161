"""What is left of units that are forgotten: nothing, once their last word is on file."""

from __future__ import annotations

import os
import signal

from tests.harness import Manager, poll
from tests.system.test_survival import logger_pid

RUN = ("run", "--quiet")


def logger(m: Manager, old: int = 0) -> int:
    """The logger that came after `old`."""
    poll(lambda: logger_pid(m) not in (0, old), "no logger comes")
    return logger_pid(m)


def open_files(m: Manager) -> dict[str, int]:
    m.ok(*RUN, "--wait", "/bin/echo", "first")  # everything is there now that there is only one of
    pids = {"warden": m.warden, "manager": m.manager_pid(), "logger": logger(m)}
    return {who: len(os.listdir(f"/proc/{pid}/fd")) for who, pid in pids.items()}


def settles_below(m: Manager, limits: dict[str, int]) -> None:
    poll(lambda: all(count <= limits[who] + 2 for who, count in open_files(m).items()), f"more files stay open than {limits}")


def test_transient_units_leave_no_descriptors_behind(manager: Manager) -> None:
    m = manager.boot()
    before = open_files(m)
    with m.client() as client:
        for i in range(20):
            client.call("run", unit=f"r{i}", command={"path": "/bin/echo", "arguments": [f"word {i}"]}, wait=True)
    for i in range(20):
        poll(lambda i=i: f"word {i}" in m.ok("logs", "-o", "cat", f"r{i}"), f"what r{i} wrote is lost")  # type: ignore[misc]
    settles_below(m, before)


def test_the_last_words_outlive_manager_and_logger(manager: Manager) -> None:
    m = manager.boot()
    before = open_files(m)
    first = logger(m)
    os.kill(first, signal.SIGSTOP)
    with m.client() as client:
        client.call("run", unit="gone", command={"path": "/bin/echo", "arguments": ["last words"]}, wait=True)
    poll(lambda: m.show("gone", "LoadState") == "not-found", "it is not forgotten")
    os.kill(first, signal.SIGKILL)
    second = logger(m, first)
    poll(lambda: "last words" in m.ok("logs", "-o", "cat", "gone"), "a new logger does not read it")
    os.kill(second, signal.SIGSTOP)
    with m.client() as client:
        client.call("run", unit="gone", command={"path": "/bin/echo", "arguments": ["more words"]}, wait=True)
    poll(lambda: m.show("gone", "LoadState") == "not-found", "it is not forgotten")
    m.kill_manager()
    poll(lambda: "more words" in m.ok("logs", "-o", "cat", "gone"), "the logger of a new manager does not read it")
    settles_below(m, before)


def test_back_before_its_last_words_are_read(manager: Manager) -> None:
    m = manager.boot()
    os.kill(logger(m), signal.SIGSTOP)
    with m.client() as client:
        for i in range(5):
            client.call("run", unit="again", command={"path": "/bin/echo", "arguments": [f"word {i}"]}, wait=True)
            poll(lambda: m.show("again", "LoadState") == "not-found", "it is not forgotten")
    os.kill(logger(m), signal.SIGCONT)
    poll(lambda: m.ok("logs", "-o", "cat", "again").split("\n")[:5] == [f"word {i}" for i in range(5)], "words are missing")


def test_who_never_wrote_has_no_log(manager: Manager) -> None:
    m = manager.boot()
    before = open_files(m)
    with m.client() as client:
        client.call("run", unit="mute", command={"path": "/bin/true", "arguments": []}, wait=True)
    settles_below(m, before)
    assert not (m.log / "mute.service").exists()
