"""[Socket]: addresses, checks, and sections in service files."""

from __future__ import annotations

from pathlib import Path

import pytest

from unitd.units.errors import ValueProblem
from unitd.units.loader import Loader
from unitd.units.model import Unit
from unitd.units.socket import descriptor_name, parse_address, service_of


@pytest.mark.parametrize(
    ("text", "family", "address"),
    [
        ("80", "any", "[::]:80"),
        ("127.0.0.1:81", "inet", "127.0.0.1:81"),
        ("[::1]:82", "inet6", "[::1]:82"),
        ("[fe80::1]:3%eth0", "inet6", "[fe80::1]:3%eth0"),
        ("/run/x", "unix", "/run/x"),
        ("@name", "abstract", "@name"),
        ("vsock::7", "vsock", "vsock:4294967295:7"),
    ],
)
def test_addresses(text: str, family: str, address: str) -> None:
    found = parse_address(text)
    assert (found.family, found.address) == (family, address)


@pytest.mark.parametrize("text", ["0", "65536", "x", "1.2.3:4", "[::1]", "::1:80", "/" + "x" * 108, "@", "vsock:a:1", "1.2.3.4:0", "80 81"])
def test_no_addresses(text: str) -> None:
    with pytest.raises(ValueProblem):
        parse_address(text)


def load(tmp_path: Path, name: str, files: dict[str, str]) -> Unit:
    for file, text in files.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    return Loader([str(tmp_path)]).load(name)


def test_defaults_are_systemds(tmp_path: Path) -> None:
    unit = load(tmp_path, "a.socket", {"a.socket": "[Socket]\nListenStream=8080\n", "a.service": "[Service]\nExecStart=/bin/true\n"})
    s = unit.socket
    assert (s.mode, s.directory_mode, s.max_connections, s.burst, s.trigger_limit_interval, s.timeout) == (0o666, 0o755, 64, 20, 2.0, 90.0)
    assert (service_of(unit), descriptor_name(unit)) == ("a.service", "a.socket")
    assert unit.deps("Triggers") == ("a.service",) and {"a.service", "sockets.target"} <= set(unit.deps("Before"))
    assert s.listeners[0].line == 2


def test_lines_add_up_and_an_empty_one_resets_all_kinds(tmp_path: Path) -> None:
    text = "[Socket]\nListenStream=1\nListenDatagram=2\nListenFIFO=\nListenStream=/a\nListenDatagram=/b\nListenSequentialPacket=@c\nListenFIFO=/d\n"
    unit = load(tmp_path, "a.socket", {"a.socket": text})
    assert [(lis.kind, lis.address) for lis in unit.socket.listeners] == [("stream", "/a"), ("datagram", "/b"), ("seqpacket", "@c"), ("fifo", "/d")]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no Listen"),
        ("ListenStream=junk", "can be used"),
        ("ListenDatagram=1\nAccept=yes", "accept connections"),
        ("ListenStream=1\nAccept=yes\nService=b.service", "Service="),
        ("ListenStream=1\nAccept=yes\nMaxConnections=0", "MaxConnections="),
        ("ListenStream=1\nSymlinks=/l", "Symlinks="),
        ("ListenSequentialPacket=80", "can be used"),
    ],
)
def test_what_a_socket_cannot_be(tmp_path: Path, text: str, word: str) -> None:
    unit = load(tmp_path, "a.socket", {"a.socket": f"[Socket]\n{text}\n"})
    assert unit.load_state == "bad-setting"
    assert any(word in str(p) for p in unit.problems if p.severity == "error"), unit.problems


@pytest.mark.parametrize("line", ["Service=b.target", "FileDescriptorName=a:b", "IPTOS=fast", "SocketProtocol=x", "Timestamping=later", "SocketMode=rw", "Symlinks=l"])
def test_a_bad_value_is_a_warning(tmp_path: Path, line: str) -> None:
    unit = load(tmp_path, "a.socket", {"a.socket": f"[Socket]\nListenStream=1\n{line}\n"})
    assert unit.load_state == "loaded" and [p.line for p in unit.problems if p.severity == "warning"] == [3]


def test_a_section_in_a_service_file_is_a_socket_unit_of_that_name(tmp_path: Path) -> None:
    files = {"w.service": "[Unit]\nRequires=x.service\n[Service]\nExecStart=/bin/true\nUser=nobody\n[Socket]\nListenStream=80\nSocketMode=0600\n"}
    sock, service = load(tmp_path, "w.socket", files), load(tmp_path, "w.service", files)
    assert sock.load_state == "loaded" and sock.socket.mode == 0o600 and sock.fragment_path.endswith("w.service")
    assert sock.exec.user == "" and "x.service" not in sock.deps("Requires") and sock.deps("Triggers") == ("w.service",)
    assert service.service.sockets == ("w.socket",) and service.deps("Wants") == ("w.socket",) and "w.socket" in service.deps("After")
    assert not service.problems


def test_a_template_shares_its_socket_unless_the_address_has_the_instance(tmp_path: Path) -> None:
    shared = {"w@.service": "[Service]\nExecStart=/bin/true\n[Socket]\nListenStream=80\n"}
    assert load(tmp_path, "w@1.service", shared).service.sockets == ("w.socket",)
    assert load(tmp_path, "w.socket", shared).load_state == "loaded"
    assert load(tmp_path, "w@1.socket", shared).load_state == "not-found"
    own = {"w@.service": "[Service]\nExecStart=/bin/true\n[Socket]\nListenStream=808%i\n"}
    assert load(tmp_path, "w@1.service", own).service.sockets == ("w@1.socket",)
    assert load(tmp_path, "w@1.socket", own).socket.listeners[0].port == 8081


def test_a_socket_file_of_its_own_wins_and_drop_ins_of_both_apply(tmp_path: Path) -> None:
    files = {
        "w.service": "[Service]\nExecStart=/bin/true\n[Socket]\nListenStream=80\n",
        "w.service.d/a.conf": "[Socket]\nBacklog=7\n",
        "w.socket.d/b.conf": "[Unit]\nDescription=mine\n[Socket]\nNoDelay=yes\n",
    }
    unit = load(tmp_path, "w.socket", files)
    assert (unit.socket.backlog, unit.socket.no_delay, unit.unit.description) == (7, True, "mine")
    assert not Loader([str(tmp_path)]).changed(unit)
    files["w.socket"] = "[Socket]\nListenStream=81\n"
    assert load(tmp_path, "w.socket", files).socket.listeners[0].port == 81


def test_a_service_without_the_section_has_no_socket(tmp_path: Path) -> None:
    assert load(tmp_path, "w.socket", {"w.service": "[Service]\nExecStart=/bin/true\n"}).load_state == "not-found"
