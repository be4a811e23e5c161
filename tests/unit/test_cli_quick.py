"""The short way of unitctl: options without argparse, a request without msgspec, and falling back to both."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.test_cli import ROOT, Fake, ctl, environment
from unitd.bus import client, quick
from unitd.cli.main import Usage, find_verb, parse
from unitd.cli.options import Options, Unclear, common_options
from unitd.cli.parser import parser_for
from unitd.cli.verbs import VERBS, load

HEAVY = {"msgspec", "argparse", "asyncio", "zmq", "typing", "dataclasses", "subprocess", "signal", "importlib"}


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    made = Fake(tmp_path / "run")
    yield made
    made.close()


@pytest.mark.parametrize("verb", ["is-active", "start", "show", "stop"])
def test_plain_verbs_import_little(fake: Fake, verb: str) -> None:
    code = f"import sys\nbefore = set(sys.modules)\nfrom unitd.cli.main import main\nmain([{verb!r}, 'web'])\nprint(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, env=environment(fake), capture_output=True, text=True, timeout=60, check=True)
    assert HEAVY & set(done.stdout.split()) == set()
    assert len(done.stdout.split()) < 70


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
