"""unitctl logs, on files as the logger writes them, with and without a manager."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import UNITCTL
from tests.unit.test_cli import Fake, environment
from unitd.bus import logstore

WORDS = [*UNITCTL, "logs"]


def write_log(directory: Path, lines: list[tuple[float, bytes]], stream: int = 0) -> None:
    """Append to a unit's log as the logger does: the index first, then the bytes."""
    directory.mkdir(exist_ok=True, parents=True)
    with open(directory / "current.idx", "ab") as index, open(directory / "current", "ab") as file:
        for when, text in lines:
            index.write(struct.pack("<QQQ", int(when * 1e6), file.tell(), stream))
            index.flush()
            file.write(text)
            file.flush()


def rotate(directory: Path, key: int) -> None:
    os.rename(directory / "current.idx", directory / f"@{key}.idx")
    os.rename(directory / "current", directory / f"@{key}.log")


class Logs:
    """A log directory of a manager that may be running."""

    def __init__(self, base: Path, fake: Fake | None) -> None:
        self.dir, self.fake = base / "log", fake
        self.dir.mkdir()
        run = base / "run"
        run.mkdir(exist_ok=True)
        logstore.link_log_dir(str(run), str(self.dir))
        self.environ = environment(fake, TZ="UTC", UNITD_BUS=str(run))

    def know(self, *units: str) -> None:
        """What the manager answers."""
        assert self.fake is not None
        self.fake.answers["logs"] = {"data": [{"unit": unit, "dir": str(self.dir / unit)} for unit in units]}

    def run(self, *more: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([*WORDS, *more], capture_output=True, timeout=60, env=self.environ)

    def __call__(self, *more: str) -> bytes:
        done = self.run(*more)
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    made = Fake(tmp_path / "run")
    yield made
    made.close()


@pytest.fixture
def logs(tmp_path: Path, fake: Fake) -> Logs:
    return Logs(tmp_path, fake)


@pytest.fixture
def offline(tmp_path: Path) -> Logs:
    return Logs(tmp_path, None)


def test_units_are_merged_by_time(logs: Logs) -> None:
    write_log(logs.dir / "a.service", [(1000.0, b"one\n"), (1002.0, b"thr\xffee\n")])
    write_log(logs.dir / "b.service", [(1001.0, b"two\n")])
    logs.know("a.service", "b.service", "c.service")
    assert logs() == b"Jan 01 00:16:40 a: one\nJan 01 00:16:41 b: two\nJan 01 00:16:42 a: thr\\xffee\n"
    assert logs("-n", "2", "-o", "cat") == b"two\nthr\xffee\n" and logs("-n0") == b""
    assert json.loads(logs("-n1", "--json")) == {"unit": "a.service", "realtime": 1002.0, "stream": "stdout", "text": "thr\\xffee"}
    assert logs("-n1", "-o", "short-iso") == b"1970-01-01T00:16:42+00:00 a: thr\\xffee\n"
    logs.know("b.service")
    assert logs("b") == b"Jan 01 00:16:41 b: two\n"


def test_it_reads_without_a_manager(offline: Logs) -> None:
    write_log(offline.dir / "web@1.service", [(1000.0, b"one\n")])
    write_log(offline.dir / "web@2.service", [(1001.0, b"two\n")])
    assert offline("-o", "cat") == offline("-o", "cat", "web@*") == b"one\ntwo\n"
    assert offline("-o", "cat", "web@2") == b"two\n"
    done = offline.run("other")
    assert done.returncode == 4 and b"cannot find a log of other.service" in done.stderr
    assert offline("-o", "cat", "-D", str(offline.dir), "web@1") == b"one\n"
    assert offline.run("-f", "web@1").returncode == 1


def test_time_stream_and_pattern_choose_lines(offline: Logs) -> None:
    unit = offline.dir / "a.service"
    write_log(unit, [(1000.0, b"Alpha\n"), (1010.0, b"beta\n")])
    write_log(unit, [(1020.0, b"gamma\n")], stream=1)
    write_log(unit, [(1030.0, b"delta\n")], stream=2)
    cat = ("-o", "cat")
    assert offline(*cat, "--since", "@1010", "--until=1970-01-01 00:17:00") == b"beta\ngamma\n"
    assert offline(*cat, "--stderr") == b"gamma\n" and offline(*cat, "--stdout") == b"Alpha\nbeta\n"
    assert offline(*cat, "-g", "^al|lt") == b"Alpha\ndelta\n" and offline(*cat, "-g", "Al") == b"Alpha\n"
    assert offline(*cat, "-n", "2", "-g", "ta$") == b"beta\ndelta\n"
    assert offline(*cat, "--since", "10 min ago") == b""
    for wrong, text in ((("--since", "someday"), b"Failed to parse timestamp of --since"), (("-g", "("), b"Failed to compile the pattern '('")):
        done = offline.run(*wrong)
        assert done.returncode == 1 and text in done.stderr


def test_the_lines_of_one_invocation(offline: Logs) -> None:
    unit = offline.dir / "a.service"
    write_log(unit, [(1000.0, b"one\n"), (1010.0, b"two\n"), (1020.0, b"three\n")])
    (unit / "invocations").write_text("1000000000 aaaaaaaa1\n1010000000 bbbbbbbb2\n1020000000 bbbbbbbb2\n")
    assert offline("-o", "cat", "-b", "a") == offline("-o", "cat", "--invocation", "0", "a") == b"two\nthree\n"
    assert offline("-o", "cat", "--invocation=-1", "a") == offline("-o", "cat", "--invocation", "aaaaaaaa", "a") == b"one\n"
    assert offline.run("--invocation", "cccccccc", "a").returncode == 1


def test_what_is_no_text_is_unchanged_by_cat_and_escaped_elsewhere(offline: Logs) -> None:
    raw = b"nul\0 \x1b[31mred\x1b[0m \xff caf\xc3\xa9\tok\r\n" + b"x" * (10 << 20) + b"\nno end"
    write_log(offline.dir / "a.service", [(1000.0, raw)])
    assert offline("-o", "cat") == raw
    short = offline().splitlines()
    assert short[0] == b"Jan 01 00:16:40 a: nul\\x00 \\x1b[31mred\\x1b[0m \\xff caf\xc3\xa9\tok"
    assert short[1] == b"Jan 01 00:16:40 a: " + b"x" * (10 << 20)
    assert short[2:] == [b"Jan 01 00:16:40 a: no end"]
    rows = [json.loads(line) for line in offline("-o", "json").splitlines()]
    assert "".join(row["text"] for row in rows[1:-1]) == "x" * (10 << 20) and rows[-1]["ended"] is False


def test_an_identifier_stands_in_front(offline: Logs) -> None:
    write_log(offline.dir / "a.service", [(1000.0, b"one\n")])
    (offline.dir / "a.service/identifier").write_text("shop")
    assert offline() == b"Jan 01 00:16:40 shop: one\n"


def test_following(logs: Logs) -> None:
    a, b = logs.dir / "a.service", logs.dir / "b.service"
    write_log(a, [(1000.0, b"old\n"), (1001.0, b"last\n")])
    logs.know("a.service")
    process = subprocess.Popen([*WORDS, "-f", "-n1", "-o", "cat"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=logs.environ)
    assert process.stdout is not None and logs.fake is not None
    publish = logs.fake.server.publish
    assert process.stdout.readline() == b"last\n"
    write_log(a, [(1002.0, b"new\n")])
    rotate(a, 1_000_000_000)
    write_log(a, [(1003.0, b"newer\n")])
    logs.fake.loop.call_soon_threadsafe(publish, "log.a.service", {})
    assert process.stdout.readline() == b"new\n"
    assert process.stdout.readline() == b"newer\n"
    write_log(b, [(1004.0, b"born\n")])
    logs.fake.loop.call_soon_threadsafe(publish, "log.b.service", {})
    assert process.stdout.readline() == b"born\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == (b"", b"") and process.returncode == 130


def test_what_logs_take_and_what_may_go(offline: Logs) -> None:
    unit = offline.dir / "a.service"
    for second in (1000, 2000, 3000):
        write_log(unit, [(second, b"x" * 8191 + b"\n")])
        rotate(unit, second * 1_000_000)
        os.utime(unit / f"@{second}000000.log", (second, second))
    write_log(unit, [(4000.0, b"now\n")])
    assert b"Captured output takes up" in offline("--disk-usage")
    assert json.loads(offline("--disk-usage", "--json"))[0]["unit"] == "a.service"
    out = offline("--vacuum-time", "100d")
    assert out.count(b"Deleted") == 3 and b"in 3 files" in out
    assert sorted(p.name for p in unit.iterdir()) == ["current", "current.idx"]
    write_log(unit, [(5000.0, b"y" * 65536)])
    rotate(unit, 4_000_000_000)
    write_log(unit, [(6000.0, b"z\n")])
    assert b"in 1 files" in offline("--vacuum-size", "30K") and b"in 0 files" in offline("--vacuum-size", "30K")
    assert offline.run("--vacuum-size", "lots").returncode == 1
    assert offline.run("--rotate").returncode == 1
