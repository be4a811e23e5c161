"""Black-box scenarios: a directory NAME with units/, a list of commands `run` and the transcript `expected`; optionally `env`.

Commands, one a line; `| REGEX` behind one shows only the lines of its output that match:
    unitctl VERB ...            as a user types it
    unitd ...                   a second unitd on the same directories, with these further options
    wait UNIT Property=value... until all are so (!value: anything else)
    write NAME <<END ... END    a file in the unit directory;  rm NAME  removes it
    sh COMMAND                  a shell in the scenario's directory (units/ run/ log/, $BUS)
    python SCRIPT ...           a script of units/
    kill-main UNIT SIGNAL       to the main process
    remember UNIT Property      and later: same UNIT Property
    kill-manager                SIGKILL, and its successor is ready;  crash  SIGKILLs everything;  launch  starts unitd again;  stop-unitd  by SIGTERM
    processes                   what runs for the units
UNITD_UPDATE=1 writes `expected` anew: read the difference before you keep it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import Manager, poll

HERE = Path(__file__).parent
SCENARIOS = sorted(path.parent.name for path in HERE.glob("*/run"))

STEADY = [
    (re.compile(r"since .* ago"), "since <when>"),
    (re.compile(r"\b(Duration|CPU|Memory|Tasks): .*"), r"\1: <n>"),
    (re.compile(r"(PID: |Process: |[└├]─ ?)\d+"), r"\1<pid>"),
    (re.compile(r"restarts in [\d.]+ s"), "restarts in <n> s"),
    (re.compile(r"another unitd runs on \S+;"), "another unitd runs on @BASE@/run;"),
    (re.compile(r"^\w{3} \d\d \d\d:\d\d:\d\d(\.\d+)? ", re.M), "<time> "),
    (re.compile(r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\S* ", re.M), "<time> "),
]


class Scenario:
    """One run of one directory."""

    def __init__(self, name: str) -> None:
        self.directory = HERE / name
        env = {}
        if (self.directory / "env").exists():
            env = dict(line.split("=", 1) for line in (self.directory / "env").read_text(encoding="utf-8").splitlines() if line)
        self.manager = Manager(env)
        if (self.directory / "units").is_dir():
            shutil.copytree(self.directory / "units", self.manager.units, dirs_exist_ok=True, symlinks=True)
        self.remembered: dict[tuple[str, str], str] = {}
        self.transcript: list[str] = []

    def run(self) -> str:
        """Run all commands; the transcript."""
        lines = iter((self.directory / "run").read_text(encoding="utf-8").splitlines())
        for line in lines:
            if not line.strip() or line.startswith("#"):
                continue
            self.transcript.append(f"$ {line}")
            command, _, pattern = line.partition(" | ")
            if command.startswith("write "):
                name, end = re.fullmatch(r"write (\S+) <<(\S+)", command).groups()  # type: ignore[union-attr]
                text = "".join(f"{row}\n" for row in iter(lambda: next(lines), end))
                self.manager.write(name, text)
                continue
            code, text = self.command(command)
            shown = [row for row in self.steady(text).splitlines() if not pattern or re.search(pattern, row)]
            self.transcript += [row.rstrip() for row in shown] + ([f"[{code}]"] if code else [])
        return "".join(f"{row}\n" for row in self.transcript)

    def steady(self, text: str) -> str:
        """Text without what differs from run to run."""
        text = text.replace(str(self.manager.base), "@BASE@").replace(sys.executable, "@PYTHON@")
        for pattern, instead in STEADY:
            text = pattern.sub(instead, text)
        return text

    def command(self, line: str) -> tuple[int, str]:
        """Run one command; exit code and output."""
        manager = self.manager
        word, _, rest = line.partition(" ")
        if word == "sh":
            return self.process(["sh", "-c", rest])
        args = shlex.split(rest)
        match word:
            case "unitctl":
                done = manager.ctl(*args)
                return done.returncode, done.stdout + done.stderr
            case "unitd":
                return self.process([*manager.command(), *args])
            case "python":
                return self.process([sys.executable, str(manager.units / args[0]), *args[1:]])
            case "wait":
                manager.wait_for(args[0], **{k: v for k, _, v in (a.partition("=") for a in args[1:])})
            case "rm":
                path = manager.units / args[0]
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            case "kill-main":
                pid = manager.pid(args[0])
                assert pid, f"{args[0]} has no main process"
                os.kill(pid, signal.Signals["SIG" + args[1]])
            case "remember":
                self.remembered[args[0], args[1]] = manager.show(args[0], args[1])
            case "same":
                before, now = self.remembered[args[0], args[1]], manager.show(args[0], args[1])
                return 0, "same\n" if before == now else "changed\n"
            case "processes":
                return 0, "".join(f"{line}\n" for line in self.services()) or "none\n"
            case "kill-manager":
                manager.kill_manager()
            case "crash":
                manager.crash()
            case "launch":
                manager.boot()
            case "stop-unitd":
                return manager.stop(), ""
            case _:
                raise ValueError(f"unknown command {word!r}")
        return 0, ""

    def services(self) -> list[str]:
        """Command lines of what runs for the units."""
        found: list[str] = []

        def distinct() -> bool:
            found[:] = self.manager.services()
            return len(set(found)) == len(found)

        poll(distinct, "two of the same")  # a child between fork and exec looks like its parent
        return found

    def process(self, argv: list[str]) -> tuple[int, str]:
        """Run a program beside unitd."""
        done = self.manager.call(argv, env={**self.manager.environ, "BUS": self.manager.bus}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    """The transcript is the expected one, unitd ends with 0 and leaves no process."""
    scenario, good = Scenario(name), False
    try:
        scenario.manager.boot()
        seen = scenario.run()
        good = True
    finally:
        if not good:
            sys.stdout.write("\n".join([*scenario.transcript, "--- unitd said:", scenario.manager.said()]))
        scenario.manager.close(check=good)
    expected = scenario.directory / "expected"
    if os.environ.get("UNITD_UPDATE"):
        expected.write_text(seen, encoding="utf-8")
    assert seen == expected.read_text(encoding="utf-8"), scenario.manager.said()


def test_there_are_scenarios() -> None:
    """The directory was found."""
    assert len(SCENARIOS) >= 14
