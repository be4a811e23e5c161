"""unitctl as a process against a bus whose answers the tests choose."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import ROOT, UNITCTL
from unitd.bus.messages import Reply, Request, failed
from unitd.bus.server import BusServer, Peer
from unitd.cli.commandline import Usage, find_verb, parse
from unitd.cli.verbs import VERBS


class Fake:
    """A manager that answers from a table and remembers what it was asked."""

    def __init__(self, directory: Path) -> None:
        self.answers: dict[str, dict[str, Any]] = {}
        self.requests: list[Request] = []
        self.asked = threading.Event()
        self.directory = directory
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        assert self.ready.wait(10)

    def serve(self) -> None:
        self.server = BusServer(str(self.directory), self.loop, self.handle)
        self.server.start()
        self.loop.call_soon(self.ready.set)
        self.loop.run_forever()
        self.server.close()
        self.loop.run_until_complete(asyncio.sleep(0))  # what was cancelled ends
        self.loop.close()

    async def handle(self, request: Request, peer: Peer) -> Reply:
        if request.verb == "ping" and "ping" not in self.answers:
            return Reply("", True)
        self.requests.append(request)
        self.asked.set()
        if request.verb == "start" and request.units == ["never.service"]:
            await asyncio.Event().wait()
        if request.verb == "refused":
            return failed("", "x", "no")
        return Reply("", **{"ok": True, **self.answers.get(request.verb, {})})

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    made = Fake(tmp_path / "run")
    yield made
    made.close()


def environment(fake: Fake | None, **more: str) -> dict[str, str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "PYTHONSAFEPATH": "1", **more}
    if fake is not None:
        environ["UNITD_BUS"] = fake.server.endpoint
    return environ


def ctl(fake: Fake | None, *words: str, **more: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [*UNITCTL, *words],
        capture_output=True,
        text=True,
        timeout=30,
        env=environment(fake, **more),
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def asked(fake: Fake) -> tuple[str, list[str], dict[str, Any]]:
    request = fake.requests[-1]
    return request.verb, request.units, request.options


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["start", "web"], ("start", ["web.service"], {"job_mode": "replace"})),
        (["start", "--no-block", "web", "a.target"], ("start", ["web.service", "a.target"], {"job_mode": "replace", "no_block": True})),
        (
            ["--no-block", "start", "web-[12].service", "x*"],
            ("start", ["web-[12].service", "x*"], {"job_mode": "replace", "no_block": True}),
        ),
        (["start", "--job-mode=fail", "web"], ("start", ["web.service"], {"job_mode": "fail"})),
        (["kill", "-s", "KILL", "web"], ("kill", ["web.service"], {"signal": "KILL", "kill_whom": "all"})),
        (["enable", "--runtime", "web"], ("enable", ["web.service"], {"runtime": True})),
        (["reset-failed"], ("reset-failed", [], {})),
        (["cancel", "7"], ("cancel", ["7"], {})),
        (["clean", "--what=state", "web"], ("clean", ["web.service"], {"what": ["state"]})),
        (["shutdown"], ("exit", [], {})),
        (["list-units", "--failed", "x*"], ("list-units", ["x*"], {"failed": True})),
        (["show", "-p", "A,B", "--", "-odd.service"], ("show", ["-odd.service"], {})),
    ],
)
def test_what_the_manager_is_asked(fake: Fake, words: list[str], expected: tuple[str, list[str], dict[str, Any]]) -> None:
    code, _, err = ctl(fake, *words)
    assert (code, err, asked(fake)) == (0, "", expected)


def test_exit_code_and_text_are_the_managers(fake: Fake) -> None:
    fake.answers["is-active"] = {"exit_code": 3, "out": "inactive\n"}
    fake.answers["start"] = {"ok": False, "exit_code": 1, "err": "Job for web.service failed because it did.\n"}
    assert ctl(fake, "is-active", "web") == (3, "inactive\n", "")
    assert ctl(fake, "is-active", "-q", "web") == (3, "", "")
    assert ctl(fake, "start", "web") == (1, "", "Job for web.service failed because it did.\n")


def test_show_filters_in_the_managers_order(fake: Fake) -> None:
    fake.answers["show"] = {"data": [{"ExecStart": "{ a }\n{ b }", "Description": "A sleeper", "LoadState": "loaded", "Wants": ""}]}
    assert ctl(fake, "show", "-p", "LoadState", "-p", "Description", "x")[1] == "Description=A sleeper\nLoadState=loaded\n"
    assert ctl(fake, "show", "-p", "Description,LoadState", "--value", "x")[1] == "A sleeper\nloaded\n"
    assert ctl(fake, "show", "-P", "Description", "x")[1] == "A sleeper\n"
    assert ctl(fake, "show", "-p", "NoSuchProp", "x") == (0, "", "")
    assert ctl(fake, "show", "-p", "Wants,ExecStart", "x")[1] == "ExecStart={ a }\nExecStart={ b }\nWants=\n"
    assert "Wants" not in ctl(fake, "show", "x")[1] and "Wants=\n" in ctl(fake, "show", "--all", "x")[1]
    assert json.loads(ctl(fake, "--json", "show", "-p", "Wants", "x")[1]) == [{"Wants": ""}]


def test_json_prints_data_or_the_whole_reply(fake: Fake) -> None:
    fake.answers["list-jobs"] = {"data": [{"job": 1, "unit": "a.service", "type": "start", "state": "running"}]}
    fake.answers["is-active"] = {"exit_code": 3, "out": "inactive\n"}
    assert json.loads(ctl(fake, "list-jobs", "--json")[1])[0]["job"] == 1
    code, out, _ = ctl(fake, "is-active", "--json", "web")
    assert (code, json.loads(out)["out"]) == (3, "inactive\n")


def test_a_missing_unit_in_status_is_told_on_stderr(fake: Fake) -> None:
    fake.answers["status"] = {"exit_code": 4, "data": [{"unit": "x.service", "found": False}]}
    assert ctl(fake, "status", "x") == (4, "", "Unit x.service could not be found.\n")


def test_cat(fake: Fake) -> None:
    fake.answers["cat"] = {"data": [{"path": "/a", "text": "[Unit]\n"}, {"path": "/b.conf", "text": "x=1"}]}
    assert ctl(fake, "cat", "web")[1] == "# /a\n[Unit]\n\n# /b.conf\nx=1\n"


def test_edit_hands_the_new_text_to_the_manager(fake: Fake) -> None:
    row = {"unit": "web.service", "path": "/u/web.service.d/override.conf", "text": "", "others": [{"path": "/u/web.service", "text": "[Service]\n"}]}
    fake.answers["edit"] = {"data": [row]}
    editor = f"{sys.executable} -c \"import sys; open(sys.argv[1], 'w').write('[Service]')\""
    assert ctl(fake, "edit", "web", EDITOR=editor)[0] == 0
    assert (fake.requests[-1].verb, fake.requests[-1].options) == ("edit-put", {"text": "[Service]\n"})
    assert ctl(fake, "edit", "web", EDITOR=f"{sys.executable} -c \"import sys; open(sys.argv[1], 'w')\"")[0] == 0
    assert fake.requests[-1].verb == "edit"  # nothing is left: nothing is changed


def test_enable_now_starts(fake: Fake) -> None:
    fake.answers["enable"] = {"err": "Created symlink a → b.\n"}
    assert ctl(fake, "enable", "--now", "web") == (0, "", "Created symlink a → b.\n")
    assert [r.verb for r in fake.requests] == ["enable", "start"]


def test_stop_all_stops_what_is_up(fake: Fake) -> None:
    rows = [{"unit": "a.service", "active": "active"}, {"unit": "b.service", "active": "failed"}]
    fake.answers["list-units"] = {"data": rows}
    assert ctl(fake, "stop-all")[0] == 0
    assert asked(fake)[:2] == ("stop", ["a.service"])


def test_without_a_manager(tmp_path: Path) -> None:
    code, out, err = ctl(None, "--bus", f"{tmp_path}/bus", "ping")
    assert (code, out) == (1, "")
    assert (
        err.startswith(f"unitctl: cannot reach unitd at ipc://{tmp_path}/bus: ") and "is unitd running?" in err and "Traceback" not in err
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["staus", "x"], "Unknown command verb staus. Did you mean status?"),
        (["start"], "Too few arguments"),
        (["ping", "x"], "unrecognized arguments: x"),
        (["start", "--bogus", "x"], "unrecognized arguments: --bogus"),
        (["--bus", "tcp://x", "ping"], "only ipc:// is supported"),
    ],
)
def test_wrong_usage_ends_with_one(words: list[str], text: str) -> None:
    code, out, err = ctl(None, *words)
    assert (code, out) == (1, "") and text in err and "Traceback" not in err


def test_help_and_version(fake: Fake, tmp_path: Path) -> None:
    code, out, err = ctl(None, "help")
    assert (code, err) == (0, "") and all(verb in out for verb in VERBS)
    assert ctl(None, "--help")[1] == out
    assert "--no-block" in ctl(None, "start", "--help")[1]
    fake.answers["version"] = {"out": "unitd 9\n"}
    assert ctl(fake, "--version")[1].endswith("unitd 9\n")


def test_verify_needs_no_manager(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.service", tmp_path / "bad.service"
    good.write_text("[Service]\nExecStart=/bin/true\n")
    bad.write_text("[Unit]\nDescription=x\n")
    assert ctl(None, "verify", str(good)) == (0, "", "")
    code, out, _ = ctl(None, "verify", str(bad))
    assert code == 1 and "bad.service" in out


def test_a_reader_that_left_is_no_error(fake: Fake) -> None:
    fake.answers["cat"] = {"data": [{"path": "/a", "text": "x\n" * 200_000}]}
    process = subprocess.Popen([*UNITCTL, "cat", "web"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(fake))
    assert process.stdout is not None and process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert (process.stderr.read(), process.wait(10)) == (b"", 0)
    process.stderr.close()


def test_control_c_ends_with_130(fake: Fake) -> None:
    process = subprocess.Popen([*UNITCTL, "start", "never"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(fake))
    assert fake.asked.wait(10)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10) == (b"", b"") and process.returncode == 130


@pytest.mark.parametrize(
    ("argv", "index"),
    [
        ([], None),
        (["start"], 0),
        (["-q", "start"], 1),
        (["-p", "start", "show"], 2),
        (["--property=start", "show"], 1),
        (["--", "start"], 1),
        (["-p"], None),
    ],
)
def test_the_verb_is_found_among_options(argv: list[str], index: int | None) -> None:
    assert find_verb(argv) == index


def test_no_verb_lists_units() -> None:
    assert parse([])[0] == "list-units" and parse(["--failed"])[0] == "list-units"
    with pytest.raises(Usage):
        parse(["--nonsense"])


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse([verb, "--help"])
    assert end.value.code == 0 and capsys.readouterr().out.startswith(f"usage: unitctl [OPTION...] {verb}")
