"""PID files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from unitd.manager import pidfile


@pytest.mark.parametrize(
    ("content", "pid", "said"),
    [
        (b"1234\n", 1234, ""),
        (b"1234", 1234, ""),
        (b"  1234 \nsecond line", 1234, ""),
        (b"", 0, "is empty"),
        (b"\n1234", 0, "is empty"),
        (b"abc\n", 0, "'abc'"),
        (b"12 34\n", 0, "'12 34'"),
        (b"-5\n", 0, "'-5'"),
        (b"0\n", 0, "names process 0"),
        (b"1\n", 0, "names process 1"),
        (b"99999999999\n", 0, "has no process ID"),
        (b"\xff\0\n", 0, "has no process ID"),
    ],
)
def test_content(tmp_path: Path, content: bytes, pid: int, said: str) -> None:
    (tmp_path / "pid").write_bytes(content)
    found, reason = pidfile.read_pid(str(tmp_path / "pid"))
    assert found == pid and said in reason and bool(reason) != bool(pid)


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "does not exist" in pidfile.read_pid(str(tmp_path / "pid"))[1]
    assert "not a regular file" in pidfile.read_pid(str(tmp_path))[1]
    os.mkfifo(tmp_path / "fifo")
    assert "not a regular file" in pidfile.read_pid(str(tmp_path / "fifo"))[1]


def test_symlinks_of_strangers_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("77\n")
    (tmp_path / "link").symlink_to("real")
    assert pidfile.read_pid(str(tmp_path / "link")) == (77, "")
    if os.getuid() != 0:
        pytest.skip("needs root to make a stranger's link")
    os.lchown(tmp_path / "link", 12345, 12345)
    assert "symlink of user 12345" in pidfile.read_pid(str(tmp_path / "link"))[1]
    os.chown(tmp_path / "real", 12345, 12345)
    assert pidfile.read_pid(str(tmp_path / "link")) == (77, "")


def test_write_and_remove(tmp_path: Path) -> None:
    path = str(tmp_path / "pid")
    (tmp_path / "pid").write_text("4\n")
    pidfile.write(path)
    assert pidfile.read_pid(path) == (os.getpid(), "") and os.listdir(tmp_path) == ["pid"]
    assert not pidfile.remove(path, 5) and pidfile.remove(path, os.getpid()) and not pidfile.remove(path)
    with pytest.raises(OSError):
        pidfile.write(str(tmp_path / "none/pid"))
