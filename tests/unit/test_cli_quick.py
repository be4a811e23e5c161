"""The short way of unitctl: options without argparse, a request without msgspec, and falling back to both."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import ROOT, UNITCTL
from tests.unit.test_cli import Fake, ctl, environment
from unitd.bus import client, plainjson, quick
from unitd.cli.commandline import Usage, find_verb, parse
from unitd.cli.main import PLAIN, short
from unitd.cli.options import Options, Unclear, common_options
from unitd.cli.parser import parser_for
from unitd.cli.verbs import VERBS, load

#: What unitctl is not to import for a verb that asks and prints; `os` and `io` are there with Python itself.
HEAVY = {
    "msgspec", "argparse", "asyncio", "zmq", "typing", "dataclasses", "subprocess", "signal", "importlib",
    "re", "json", "socket", "selectors", "struct", "contextlib", "collections", "functools", "enum", "threading", "logging", "ast",
}  # fmt: skip
#: What a plain command imports besides, at most: this package's modules and three small ones in C.
SHORT = {
    "unitd", "unitd.cli", "unitd.cli.main", "unitd.bus", "unitd.bus.endpoint", "unitd.bus.quick", "unitd.bus.plainjson", "unitd.bus.zmtp",
    "unitd.units", "unitd.units.suffix", "_json", "_socket", "atexit", "errno",
}  # fmt: skip


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    made = Fake(tmp_path / "run")
    yield made
    made.close()


def imported(fake: Fake, *words: str) -> set[str]:
    """Modules that a run of unitctl imported, besides those of a bare Python."""
    code = f"import sys\nbefore = set(sys.modules)\nfrom unitd.cli.main import main\nmain({list(words)!r})\nprint()\nprint(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, env=environment(fake), capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("words", [("is-active", "web"), ("start", "web"), ("stop", "web"), ("show", "web"), ("kill", "web"), ("restart", "--no-block", "web"), ("ping",)])
def test_plain_verbs_import_little(fake: Fake, words: tuple[str, ...]) -> None:
    found = imported(fake, *words)
    assert "unitd.bus.quick" in found and HEAVY & found == set()
    assert len(found) < 40


@pytest.mark.parametrize("verb", sorted(PLAIN))
def test_a_plain_command_imports_next_to_nothing(fake: Fake, verb: str) -> None:
    assert imported(fake, verb, "web", "db.service") - SHORT == set()


@pytest.mark.parametrize("verb", sorted(PLAIN))
def test_the_short_way_asks_and_answers_as_the_long_one_does(fake: Fake, verb: str) -> None:
    fake.answers[verb] = {"ok": False, "exit_code": 4, "out": "inactive \u2713\n", "err": "no\n"}
    names = ["web", "a.target", "b@1", *(["x*"] if verb != "is-enabled" else []), ".service", "c.service"]
    assert verb not in quick.ONCE_VERBS  # it may be sent again
    plain, other = ctl(fake, verb, *names), ctl(fake, verb, "--no-pager", *names)
    assert plain == other == (4, "inactive \u2713\n", "no\n")
    ours, theirs = fake.requests[-2:]
    assert (ours.verb, ours.units, ours.options) == (theirs.verb, theirs.units, theirs.options)
    assert ctl(fake, "-q", verb, "c") == (4, "", "no\n") == ctl(fake, verb, "-q", "c")


@pytest.mark.parametrize("line", ["", "-q", "--bus", "--bus x", "start", "start -", "start -q web", "start -- web", "--json start web", "show web", "nonsense web", "--bus - start web"])
def test_what_is_not_plain_is_left_to_the_long_way(line: str) -> None:
    assert short(line.split()) is None


def test_the_bus_of_a_plain_command(fake: Fake) -> None:
    for bus in (fake.server.endpoint, fake.server.bus_path, str(fake.directory), os.path.relpath(fake.directory, ROOT), f"{fake.directory}/../{fake.directory.name}/"):
        done = subprocess.run(
            [*UNITCTL, "--bus", bus, "is-active", "web"], cwd=ROOT, env=environment(None), capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
    assert len(fake.requests) == 5


def test_the_installed_script(fake: Fake) -> None:
    """What `setup.py` has pip install: the same program, without what an entry point's script imports."""
    fake.answers["is-active"] = {"exit_code": 3, "out": "inactive\n"}
    words = [sys.executable, "-S", "-X", "importtime", os.path.join(ROOT, "bin", "unitctl"), "is-active", "web"]
    done = subprocess.run(words, env=environment(fake), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (3, "inactive\n")
    found = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]
    assert "unitd.cli.main" in found and not HEAVY & set(found)


def test_output_that_nobody_takes(fake: Fake) -> None:
    """A full disk is an error and no traceback's end is lost; a reader that has gone is none."""
    fake.answers["is-active"] = {"out": "active\n"}
    words = [*UNITCTL, "is-active", "web"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(words, env=environment(fake), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "No space left" in done.stderr
    gone, pipe = os.pipe()
    os.close(gone)
    done = subprocess.run(words, env=environment(fake), stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(pipe)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "value",
    ["", "a\u00e4\U0001f600\"\\\n\x01", None, True, False, 0, -7, 10**20, 1.5, 1e300, [], {}, [[1, "x", None], {"a": {"b": [True]}}], {"\u2713": "\x7f"}],
)
def test_plain_json_is_json(value: object) -> None:
    assert json.loads(plainjson.encode(value)) == value
    assert plainjson.decode(json.dumps(value).encode()) == value == plainjson.decode(json.dumps(value, ensure_ascii=False).encode())


@pytest.mark.parametrize("raw", [b"", b"{", b'{"a":1}x', b'"\x01"', b"nul", b"[1,]", b"\xff", b'{"a" 1}'])
def test_what_is_no_json(raw: bytes) -> None:
    with pytest.raises(ValueError):
        plainjson.decode(raw)


def test_another_python_has_json_all_the_same() -> None:
    """Where the C half of json looks different, json itself is asked."""
    code = (
        "import sys, types; sys.modules['_json'] = types.ModuleType('_json')\n"
        "from unitd.bus import plainjson as p\nassert p.decode(p.encode({'a': ['\u2713', 1, None]}).encode()) == {'a': ['\u2713', 1, None]}\n"
        "try: p.decode(b'{')\nexcept ValueError: print('good')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("good\n", "")


@pytest.mark.parametrize(
    "line",
    [
        "is-active web", "-q is-active web", "show -p A -pB --property=C,D web", "show -P Id --value -a web db", "start --no-block web", "start web --wait",
        "--bus /x start web", "status -n5 web", "status -ln 5 web", "kill -s KILL web", "kill --kill-who=main web", "list-units -t service --state=failed --all",
        "enable --now web", "list-units", "--json list-units x*", "logs -fn 5 web", "clean --what=all web",
    ],
)  # fmt: skip
def test_options_are_read_as_argparse_reads_them(line: str) -> None:
    words = line.split()
    at = find_verb(words)
    assert at is not None
    verb = words.pop(at)
    options = Options()
    common_options(options)
    load(verb).arguments(options, verb)  # type: ignore[arg-type]
    assert vars(options.parse(words)) == vars(parser_for(verb).parse_intermixed_args(words))


@pytest.mark.parametrize("line", ["--nonsense", "-n", "-n five web", "--bus", "--quiet=yes web", "-qZ", "--help", "-n -5 web"])
def test_what_is_unclear_goes_to_argparse(line: str) -> None:
    options = Options()
    common_options(options)
    load("status").arguments(options, "status")  # type: ignore[arg-type]
    with pytest.raises(Unclear):
        options.parse(line.split())


def test_a_wrong_option_is_still_explained() -> None:
    with pytest.raises(Usage, match="--nonsense"):
        parse(["start", "--nonsense", "web"])


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help(verb: str) -> None:
    assert verb in parser_for(verb).format_help()


def test_the_two_clients_agree_on_verbs() -> None:
    assert quick.JOB_VERBS == client.JOB_VERBS
    assert quick.ONCE_VERBS == client.ONCE_VERBS


def listening(path: Path, closes: int) -> tuple[socket.socket, threading.Thread]:
    """Something that takes connections and hangs up after the greeting."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        for _ in range(closes):
            server.accept()[0].close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return server, thread


def test_no_manager_is_for_the_full_client(tmp_path: Path) -> None:
    assert quick.call(f"ipc://{tmp_path}/bus", "ping", [], {}) is None
    server, thread = listening(tmp_path / "bus", 1)
    try:
        assert quick.call(f"ipc://{tmp_path}/bus", "kill", [], {}) is None  # nothing was sent yet
    finally:
        thread.join(30)
        server.close()


def test_names_that_are_no_text_and_remote_buses_are_for_the_full_client(tmp_path: Path) -> None:
    assert quick.call(f"ipc://{tmp_path}/bus", "start", [os.fsdecode(b"\xff")], {}) is None
    assert quick.call("tcp://127.0.0.1:1", "start", ["web"], {}) is None


def test_json_of_an_answer_without_data(fake: Fake) -> None:
    fake.answers["kill"] = {"ok": False, "exit_code": 5, "err": "no\n"}
    code, out, _ = ctl(fake, "--json", "kill", "web")
    assert (code, out) == (5, '{\n  "ok": false,\n  "exit_code": 5,\n  "err": "no\\n"\n}\n')
