"""Strange things that come from outside, in the small."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.graphs import engine, run, unit
from unitd.manager import pidfile, plainfile, room
from unitd.manager.link import _renumbered
from unitd.manager.notices import errno_of, number_of
from unitd.manager.spec import SpawnSpec
from unitd.manager.states import Cleanup, Record
from unitd.manager.store import StateStore


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), (str(2**64 - 1), 2**64 - 1), (str(2**64), None), ("9" * 5000, None), ("²", None), ("١", None), ("", None), ("-1", None)])
def test_numbers_of_notifications(text: str, number: int | None) -> None:
    assert number_of(text) == number


def test_errno_of_too_many_digits() -> None:
    assert errno_of("9" * 5000) is None


def test_a_record_with_text_that_is_no_utf8_is_kept(tmp_path: Path) -> None:
    store = StateStore(str(tmp_path / "state.db"), "life")
    assert store.save([Record("a.service", last_failure="/tmp/\udcff: no such file"), Record("b.service")], {})
    store.close(over=False)
    again = StateStore(str(tmp_path / "state.db"), "life")
    assert [(r.name, r.last_failure) for r in again.load()[0]] == [("a.service", "/tmp/\\udcff: no such file"), ("b.service", "")]
    again.close()


def test_only_plain_files_are_read(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"x" * 1000)
    assert plainfile.read(str(plain), 1000) == b"x" * 1000
    assert plainfile.read("/dev/null") == b""
    os.mkfifo(tmp_path / "pipe")
    for path, limit, number in ((plain, 999, errno.EFBIG), (Path("/dev/zero"), 999, errno.EFBIG), (tmp_path / "pipe", 999, errno.EINVAL), (tmp_path, 999, errno.EISDIR)):
        with pytest.raises(OSError, match=str(path)) as caught:
            plainfile.read(str(path), limit)
        assert caught.value.errno == number


def test_only_a_file_is_removed_as_pid_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "device")
    (tmp_path / "pid").write_text("1234\n")
    assert not pidfile.remove(str(tmp_path / "device"))
    assert (tmp_path / "device").exists()
    assert pidfile.remove(str(tmp_path / "pid"))
    assert not (tmp_path / "pid").exists()


def test_an_effect_that_fails_takes_none_with_it() -> None:
    made, outside = engine(unit("a.service", type="simple"))
    assert run(made, outside, "a.service") == ["done"]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/run/x")

    made.effects[Cleanup] = full
    assert run(made, outside, "a.service", "stop") == ["done"]
    assert made.active("a.service") == "inactive"
    assert "a.service: cannot carry out Cleanup, because /run/x: No space left on device" in outside.logged


def test_each_descriptor_of_a_request_is_renumbered() -> None:
    spec: SpawnSpec = {"id": "a", "path": "/bin/true", "argv": ["true"], "env": [], "stdin": 0, "stdout": 1, "stderr": 2, "execfd": 3, "idle": 4, "listen": [5, 0]}
    new = _renumbered(spec, [10, 11, 12, 13, 14, 15])
    assert (new["stdin"], new["stdout"], new["stderr"], new["execfd"], new["idle"], new["listen"]) == (10, 11, 12, 13, 14, [15, 10])


def test_so_many_descriptors_can_be_passed() -> None:
    room.check_passed(room.MOST_PASSED)
    with pytest.raises(OSError, match="smaller FileDescriptorStoreMax="):
        room.check_passed(room.MOST_PASSED + 1)
