"""[Socket]: what a .socket unit listens on and how (systemd.socket(5)). The typed section and its checks. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from unitd.units import names
from unitd.units.errors import Problem, ValueProblem

if TYPE_CHECKING:
    from unitd.units.builder import Builder
    from unitd.units.lexer import Assignment
    from unitd.units.model import Command, Unit

#: Length of sun_path, the final zero byte included (unix(7)).
UNIX_PATH_MAX = 108
#: Kinds whose connections can be accepted one by one.
ACCEPTING = ("stream", "seqpacket")
#: Kind -> the word in parentheses of Listen= in `show`.
WORDS = {
    "stream": "Stream",
    "datagram": "Datagram",
    "seqpacket": "SequentialPacket",
    "fifo": "FIFO",
    "special": "Special",
    "netlink": "Netlink",
}
NETLINK = {
    "route": 0, "firewall": 3, "inet-diag": 4, "nflog": 5, "xfrm": 6, "selinux": 7, "iscsi": 8, "audit": 9, "fib-lookup": 10, "connector": 11,
    "netfilter": 12, "ip6-fw": 13, "dnrtmsg": 14, "kobject-uevent": 15, "generic": 16, "scsitransport": 18, "ecryptfs": 19, "rdma": 20,
}  # fmt: skip
#: TriggerLimitBurst= unless it is set: (Accept=yes, Accept=no).
TRIGGER_BURST = (200, 20)


class Listener(msgspec.Struct, frozen=True):
    """One Listen*= line. `family`: inet inet6 any unix abstract vsock netlink file; `host` is an address, a path or a name."""

    kind: str  # stream datagram seqpacket fifo special netlink
    family: str
    host: str = ""
    port: int = 0
    interface: str = ""  # scope of a link-local IPv6 address
    file: str = ""
    line: int = 0

    @property
    def address(self) -> str:
        """As `show` and list-sockets print it."""
        if self.family == "any":
            return f"[::]:{self.port}"
        if self.family == "inet":
            return f"{self.host}:{self.port}"
        if self.family == "inet6":
            return f"[{self.host}]:{self.port}" + (f"%{self.interface}" if self.interface else "")
        if self.family == "vsock":
            return f"vsock:{self.host}:{self.port}"
        if self.family == "netlink":
            return f"{self.host} {self.port}"
        return "@" + self.host if self.family == "abstract" else self.host

    @property
    def path(self) -> str:
        """The node in the file system; empty if it has none."""
        return self.host if self.family in ("unix", "file") else ""


class SocketSection(msgspec.Struct, frozen=True):
    """[Socket] with systemd's defaults. None: leave it to the kernel."""

    listeners: tuple[Listener, ...] = ()
    protocol: int = 0
    bind_ipv6_only: str = "default"  # default both ipv6-only
    backlog: int = 2**31 - 1
    bind_to_device: str = ""
    user: str = ""
    group: str = ""
    mode: int = 0o666
    directory_mode: int = 0o755
    accept: bool = False
    writable: bool = False
    flush_pending: bool = False
    max_connections: int = 64
    max_connections_per_source: int = 0  # 0: no limit
    keep_alive: bool = False
    keep_alive_time: float | None = None
    keep_alive_interval: float | None = None
    keep_alive_probes: int | None = None
    no_delay: bool = False
    priority: int | None = None
    defer_accept: float | None = None
    receive_buffer: int | None = None
    send_buffer: int | None = None
    ip_tos: int | None = None
    ip_ttl: int | None = None
    mark: int | None = None
    reuse_port: bool = False
    pipe_size: int | None = None
    free_bind: bool = False
    transparent: bool = False
    broadcast: bool = False
    pass_credentials: bool = False
    pass_security: bool = False
    pass_packet_info: bool = False
    timestamping: str = "off"
    tcp_congestion: str = ""
    exec_start_pre: tuple[Command, ...] = ()
    exec_start_post: tuple[Command, ...] = ()
    exec_stop_pre: tuple[Command, ...] = ()
    exec_stop_post: tuple[Command, ...] = ()
    timeout: float = 90.0
    service: str = ""  # Service=; empty: the unit of the same name
    remove_on_stop: bool = False
    symlinks: tuple[str, ...] = ()
    fd_name: str = ""  # FileDescriptorName=; empty: the unit's name, "connection" with Accept=yes
    trigger_limit_interval: float = 2.0
    trigger_limit_burst: int | None = None
    poll_limit_interval: float = 2.0
    poll_limit_burst: int = 0  # 0: no limit
    pass_fds_to_exec: bool = False

    @property
    def burst(self) -> int:
        """TriggerLimitBurst=, or its default."""
        return self.trigger_limit_burst if self.trigger_limit_burst is not None else TRIGGER_BURST[0 if self.accept else 1]


def service_of(unit: Unit) -> str:
    """The service that traffic starts: Service=, or the one with the socket's name. With Accept=yes the template that instances come from."""
    if unit.socket.service:
        return unit.socket.service
    stem = unit.name.removesuffix(".socket")
    return f"{stem}@.service" if unit.socket.accept else f"{stem}.service"


def descriptor_name(unit: Unit) -> str:
    """The word in LISTEN_FDNAMES for this unit's sockets."""
    return unit.socket.fd_name or ("connection" if unit.socket.accept else unit.name)


# ---- addresses --------------------------------------------------------------------------------------------


def parse_address(text: str) -> Listener:
    """A stream, datagram or seqpacket address without its kind (systemd.socket(5), ListenStream=). Raises ValueProblem."""
    hint = "write a port, ADDRESS:PORT, [IPV6]:PORT, /path, @abstract or vsock:CID:PORT"
    if text.startswith(("/", "@")):
        if len(text.encode("utf-8", "surrogateescape")) >= UNIX_PATH_MAX:
            raise ValueProblem(f"cannot listen on {text[:40]!r}..., because socket paths have less than {UNIX_PATH_MAX} bytes", "choose a shorter path")
        if len(text) == 1 or "\0" in text:
            raise ValueProblem(f"cannot read {text!r} as an address", hint)
        return Listener("", "unix", text) if text[0] == "/" else Listener("", "abstract", text[1:])
    if text.startswith("vsock:"):
        cid, colon, port = text[6:].rpartition(":")
        if not colon or not port.isdigit() or (cid and not cid.isdigit()):
            raise ValueProblem(f"cannot read {text!r} as an address", "write vsock:CID:PORT, or vsock::PORT for any CID")
        return Listener("", "vsock", cid or str(2**32 - 1), int(port))
    if re.fullmatch(r"[0-9]{1,5}", text):
        return Listener("", "any", "::", _port(text, text))
    six = re.fullmatch(r"\[([0-9a-fA-F:.]+)\]:([0-9]{1,5})(?:%([\w.-]{1,15}))?", text)
    four = re.fullmatch(r"([0-9.]+):([0-9]{1,5})", text)
    try:
        if six:
            return Listener("", "inet6", str(ipaddress.IPv6Address(six[1])), _port(six[2], text), six[3] or "")
        if four:
            return Listener("", "inet", str(ipaddress.IPv4Address(four[1])), _port(four[2], text))
    except ipaddress.AddressValueError:
        pass
    raise ValueProblem(f"cannot read {text!r} as an address", hint)


def _port(digits: str, text: str) -> int:
    port = int(digits)
    if not 1 <= port <= 65535:
        raise ValueProblem(f"cannot listen on {text!r}, because ports go from 1 to 65535", "choose another port")
    return port


def parse_netlink(text: str) -> Listener:
    """`FAMILY GROUP`. Raises ValueProblem."""
    family, _, group = text.partition(" ")
    if family not in NETLINK or (group and not group.strip().isdigit()):
        raise ValueProblem(f"cannot read {text!r} as a netlink address", "write a family such as route, then a group number")
    return Listener("netlink", "netlink", family, int(group or 0))


def is_fd_name(name: str) -> bool:
    """May descriptors be called that (sd_listen_fds(3))?"""
    return len(name) <= 255 and all(" " <= c < "\x7f" and c != ":" for c in name)


# ---- as a whole -------------------------------------------------------------------------------------------


def finish_socket(b: Builder, parts: dict[str, dict[str, Any]]) -> None:
    """Defaults, and what a socket cannot be without (systemd's socket_verify)."""
    section, fragment = parts["socket"], b.fragment
    section.setdefault("timeout", b.defaults.timeout_start)

    def refuse(message: str, hint: str = "") -> None:
        b.bad = True
        b.problems.append(Problem("error", message, fragment, 0, hint))

    listeners: tuple[Listener, ...] = section.get("listeners", ())
    accept = section.get("accept", False)
    if not listeners:
        what = "none of its Listen*= lines can be used" if any(p.message.startswith("Listen") for p in b.problems) else "it has no Listen*= line"
        refuse(f"cannot load the socket, because {what}", "add ListenStream= to [Socket]")
    if accept and any(lis.kind not in ACCEPTING for lis in listeners):
        refuse("cannot load the socket, because Accept=yes needs sockets that accept connections", "use ListenStream= or ListenSequentialPacket= only")
    if accept and section.get("max_connections", 64) <= 0:
        refuse("cannot load the socket, because MaxConnections= is too small for Accept=yes", "leave MaxConnections= out or raise it")
    if accept and section.get("service"):
        refuse("cannot load the socket, because Service= does not go with Accept=yes", "name the template like the socket: NAME@.service")
    if section.get("symlinks") and sum(1 for lis in listeners if lis.path and lis.kind != "special") != 1:
        refuse("cannot load the socket, because Symlinks= needs exactly one path to point to", "give links to sockets with one ListenStream=/path only")


def implicit(unit: Unit, dependencies: Mapping[str, tuple[str, ...]], exists: Callable[[str], bool]) -> dict[str, tuple[str, ...]]:
    """`dependencies` with what follows from a socket, or from Sockets= of a service (systemd.socket(5), IMPLICIT DEPENDENCIES).

    `exists` tells whether there is a unit of that name: a socket may be without a service of its own if services name it in Sockets=.
    """
    found = dict(dependencies)

    def add(kind: str, *more: str) -> None:
        found[kind] = tuple(dict.fromkeys([*found.get(kind, ()), *more]))

    if unit.type == "socket" and unit.load_state == "loaded":
        service = service_of(unit)
        if not unit.socket.accept and (unit.socket.service or exists(service)):
            add("Triggers", service)
            add("Before", service)
        if unit.unit.default_dependencies:
            add("Before", "sockets.target")
    elif unit.type == "service" and unit.service.sockets:
        sockets = [name for name in unit.service.sockets if name.endswith(".socket")]
        for kind in ("Wants", "After", "TriggeredBy"):
            add(kind, *sockets)
    return found


# ---- [Socket] in a service file ---------------------------------------------------------------------------


def shorthand(service: str, assignments: Sequence[Assignment]) -> str:
    """The socket unit that the [Socket] section of a service's file stands for; empty if there is no such section.

    It has the service's name. A template's socket is shared by all its instances (`web@.service` -> `web.socket`),
    unless an address has the instance in it: then each has its own (`web@1.socket`).
    """
    lines = [a for a in assignments if a.section == "Socket"]
    if not lines or not service.endswith(".service"):
        return ""
    prefix, instance, _ = names.split(service)
    if instance and any(re.search("%[iI]", a.value) for a in lines if a.key.startswith("Listen")):
        return f"{prefix}@{instance}.socket"
    return f"{prefix}.socket"


def accepts(assignments: Sequence[Assignment]) -> bool:
    """Does the [Socket] section among these lines say Accept=yes?"""
    last = next((a.value for a in reversed(assignments) if (a.section, a.key) == ("Socket", "Accept")), "no")
    return last.lower() in ("1", "yes", "y", "true", "t", "on")


def carriers(socket: str) -> list[tuple[str, str]]:
    """Where a [Socket] section that stands for this socket unit may be: (file, service that it is of)."""
    prefix, instance, _ = names.split(socket)
    template, own = f"{prefix}@.service", f"{prefix}@{instance}.service" if instance else f"{prefix}.service"
    return [(own, own), (template, own if instance else template)]


def own_lines(assignments: Sequence[Assignment], sections: Sequence[str] = (), but: Sequence[str] = ()) -> list[Assignment]:
    """The lines of these sections (all if none are given), without those of the sections `but`."""
    return [a for a in assignments if (not sections or a.section in sections) and a.section not in but]
