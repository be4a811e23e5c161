"""Directives of systemd.exec(5) that the reader alone decides, and what is not honoured."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from unitd.manager import credentials
from unitd.manager.credentials import CredentialError
from unitd.units.builder import Defaults
from unitd.units.errors import Problem
from unitd.units.lexer import lex
from unitd.units.model import ExecContext, Unit
from unitd.units.parse import build
from unitd.units.specifiers import HostFacts


def read(text: str, strict: bool = False) -> tuple[Unit, list[Problem]]:
    return build("a.service", lex("[Service]\nExecStart=/bin/true\n" + text, "f")[0], "f", HostFacts(), Defaults(strict=strict))


def test_directories_with_symlinks() -> None:
    unit, problems = read("StateDirectory=foo:bar foo:baz/x plain/ ../no a:/abs\nRuntimeDirectory=r\nConfigurationDirectory=c:d\n")
    state = unit.exec.directories["State"]
    assert (state.names, state.links) == (("foo", "plain"), (("foo", "bar"), ("foo", "baz/x")))
    assert unit.exec.directories["Configuration"].links == ()
    assert len(problems) == 3


def test_credentials_are_read() -> None:
    unit, problems = read("SetCredential=a:x\\ny %n: z\nLoadCredential=b:/etc/hostname\nLoadCredential=c\nSetCredential=../d:x\nSetCredential=novalue\n")
    assert unit.exec.set_credentials == (("a", b"x\ny %n: z"),)
    assert unit.exec.load_credentials == (("b", "/etc/hostname"), ("c", ""))
    assert len(problems) == 2
    assert read("SetCredential=a b:x\nSetCredential=c:y\nSetCredential=c:\n")[0].exec.set_credentials == (("a b", b"x"),)


def test_secure_bits() -> None:
    assert read("SecureBits=noroot keep-caps-locked\n")[0].exec.secure_bits == 33
    assert [p.severity for p in read("SecureBits=all\n")[1]] == ["warning"]


def test_what_is_taken_back_is_not_told() -> None:
    unit, problems = read("PrivateUsers=yes\nPrivateUsers=no\nSystemCallFilter=~@clock\nSystemCallFilter=\n", strict=True)
    assert (unit.load_state, problems) == ("loaded", [])


@pytest.mark.parametrize(("strict", "state", "severity"), [(False, "loaded", "warning"), (True, "bad-setting", "error")])
def test_confining_directives(strict: bool, state: str, severity: str) -> None:
    unit, problems = read("SystemCallFilter=@system-service\nUtmpIdentifier=x\n", strict)
    assert unit.load_state == state
    assert [(p.severity, p.confines) for p in problems] == [(severity, True), ("note", False)]


def test_the_directory_of_credentials(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store/c").write_bytes(b"from the store")
    (tmp_path / "many").mkdir()
    (tmp_path / "many/one").write_bytes(b"1")
    context = ExecContext(
        set_credentials=(("a", b"given"), ("c", b"default"), ("e", b"fallback")),
        load_credentials=(("c", ""), ("m", str(tmp_path / "many")), ("n", ""), ("e", "/nonexistent")),
    )
    directory = str(tmp_path / "credentials/a.service")
    for _ in range(2):  # made anew, over the old one
        credentials.prepare(context, directory, os.getuid(), os.getgid(), (str(tmp_path / "nowhere"), str(tmp_path / "store")))
    found = {name: Path(directory, name).read_bytes() for name in os.listdir(directory)}
    assert found == {"a": b"given", "c": b"from the store", "m_one": b"1", "e": b"fallback"}
    assert os.stat(directory).st_mode & 0o777 == 0o500
    assert os.stat(f"{directory}/a").st_mode & 0o777 == 0o400
    credentials.remove(directory)
    assert not os.path.exists(directory)


@pytest.mark.parametrize(("source", "said"), [("/nonexistent/x", "there is no"), ("/dev/null", "neither a file nor")])
def test_credentials_that_cannot_be_loaded(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(CredentialError, match=said):
        credentials.prepare(ExecContext(load_credentials=(("a", source),)), str(tmp_path / "c/a"), os.getuid(), os.getgid())


def test_too_much_in_credentials(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="limit"):
        credentials.prepare(ExecContext(set_credentials=(("a", b"x" * (1 << 20)),)), str(tmp_path / "c/a"), os.getuid(), os.getgid())
