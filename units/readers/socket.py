"""Readers of [Socket] (systemd.socket(5))."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from unitd.units import names, values
from unitd.units.builder import Builder, Reader
from unitd.units.directives import Directive
from unitd.units.errors import ValueProblem
from unitd.units.readers.scalars import scalar
from unitd.units.socket import Listener, is_fd_name, parse_address, parse_netlink

IPTOS = {"low-delay": 0x10, "throughput": 0x08, "reliability": 0x04, "low-cost": 0x02}
PROTOCOLS = {"udplite": 136, "sctp": 132, "mptcp": 262}


def _listen(b: Builder, d: Directive, value: str, kind: str) -> None:
    if value == "":
        b.put("socket.listeners", ())  # resets the lines of every kind, as in systemd
        return
    text = b.soft(value)
    if kind in ("fifo", "special"):
        if not text.startswith("/"):
            raise ValueProblem(f"cannot listen on {text!r}, because the path is not absolute", "write an absolute path")
        found = Listener(kind, "file", text)
    elif kind == "netlink":
        found = parse_netlink(text)
    else:
        found = parse_address(text)
        if kind == "seqpacket" and found.family not in ("unix", "abstract"):
            raise ValueProblem(f"cannot listen on {text!r}, because sequential packets are for unix sockets", "write /path or @name, or use ListenStream=")
    file, line = b.place
    b.append("socket.listeners", replace(found, kind=kind, file=file, line=line))


def _service(b: Builder, d: Directive, value: str, _: str) -> None:
    name = b.soft(value)
    if name and (not names.is_valid_name(name) or not name.endswith(".service")):
        raise ValueProblem(f"cannot start {name!r}, because it is no service", "write the full name, such as web.service")
    b.put(d.field, name)


def _fd_name(b: Builder, d: Directive, value: str, _: str) -> None:
    name = b.soft(value)
    if not is_fd_name(name):
        raise ValueProblem(f"cannot take {name!r} as a name of descriptors", "up to 255 printable ASCII characters without a colon")
    b.put(d.field, name)


def _choice(table: dict[str, int], low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        return table[text] if text in table else values.parse_int(text, low, high)

    return read


def _protocol(text: str) -> int:
    if text not in PROTOCOLS:
        raise ValueProblem(f"cannot take {text!r}", "one of " + ", ".join(PROTOCOLS))
    return PROTOCOLS[text]


def _timestamping(text: str) -> str:
    words = {"us": "us", "usec": "us", "µs": "us", "ns": "ns", "nsec": "ns"}
    if text in words:
        return words[text]
    try:
        return "us" if values.parse_bool(text) else "off"
    except ValueProblem:
        raise ValueProblem(f"cannot take {text!r}", "off, us or ns") from None


def _symlinks(b: Builder, d: Directive, value: str, _: str) -> None:
    if value == "":
        b.put(d.field, ())
        return
    for path in b.words(d.name, value):
        if path.startswith("/"):
            b.append(d.field, path)
        else:
            b.warn(f"{d.name}=: {path!r} is not absolute and is ignored", "write an absolute path")


def _bind_ipv6_only(text: str) -> str:
    """One of systemd's words, or a boolean: yes is ipv6-only, no is both (config_parse_socket_bind)."""
    if text in ("default", "both", "ipv6-only"):
        return text
    try:
        return "ipv6-only" if values.parse_bool(text) else "both"
    except ValueProblem:
        raise ValueProblem(f"cannot take {text!r}", "one of default, both, ipv6-only") from None


READERS: dict[str, Reader] = {
    "bindipv6only": scalar(_bind_ipv6_only),
    "listen": _listen,
    "socketservice": _service,
    "fdname": _fd_name,
    "iptos": scalar(_choice(IPTOS, 0, 255)),
    "socketprotocol": scalar(_protocol),
    "timestamping": scalar(_timestamping),
    "bytes": scalar(values.parse_size),
    "symlinks": _symlinks,
}
