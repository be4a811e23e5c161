"""Makes the sockets and FIFOs of .socket units: one kernel call after the other, and an error that says which line could not be had."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import struct
from typing import Any

from unitd.manager import room
from unitd.units.socket import NETLINK, Listener, SocketSection

_KINDS = {"stream": socket.SOCK_STREAM, "datagram": socket.SOCK_DGRAM, "seqpacket": socket.SOCK_SEQPACKET, "netlink": socket.SOCK_RAW}
# Not in the socket module of every Python that we run on (asm-generic/socket.h, linux/in.h, linux/in6.h).
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE, _SO_PASSSEC, _SO_TIMESTAMP, _SO_TIMESTAMPNS = 32, 33, 34, 29, 35
_IP_PKTINFO, _IP_FREEBIND, _IP_TRANSPARENT, _IPV6_RECVPKTINFO, _IPV6_FREEBIND, _IPV6_TRANSPARENT = 8, 15, 19, 49, 78, 75
_HINTS = {
    errno.EADDRINUSE: "another program has it; `ss -lnp` tells which",
    errno.EADDRNOTAVAIL: "no interface has that address; FreeBind=yes binds all the same",
    errno.EACCES: "ports below 1024 and directories of others need more rights",
    errno.EPERM: "the manager lacks the right to do that",
    errno.ENODEV: "there is no such network interface",
    errno.ENOENT: "a directory on the way is missing",
    errno.ENOTDIR: "a part of the path is no directory",
}


class ListenError(Exception):
    """A socket cannot be had. The text is a whole sentence with place and remedy."""

    def __init__(self, listener: Listener, reason: str, number: int = 0) -> None:
        place = f", at {listener.file}:{listener.line}" if listener.file else ""
        hint = f" ({_HINTS[number]})" if number in _HINTS else ""
        super().__init__(f"cannot listen on {listener.address}, because {reason}{place}{hint}")
        self.errno = number


def make(listener: Listener, section: SocketSection) -> tuple[int, list[str]]:
    """A non-blocking close-on-exec descriptor that listens, and warnings about options that the kernel did not take. Raises ListenError."""
    try:
        room.check()
        if listener.kind == "fifo":
            return _fifo(listener, section), []
        if listener.kind == "special":
            return _special(listener, section), []
        sock = _socket(listener, section)
        try:
            warnings = _options(sock, listener, section)
            return sock.detach(), warnings
        except BaseException:
            sock.close()
            raise
    except OSError as error:
        raise ListenError(listener, os.strerror(error.errno) if error.errno else str(error), error.errno or 0) from error


def has_ipv6() -> bool:
    """Does the kernel do IPv6 at all?"""
    return os.path.exists("/proc/net/if_inet6")


def _address(listener: Listener) -> tuple[int, tuple[Any, ...] | str]:
    """(family, what bind takes)."""
    match listener.family:
        case "any":
            return (socket.AF_INET6, ("::", listener.port)) if has_ipv6() else (socket.AF_INET, ("0.0.0.0", listener.port))  # noqa: S104 - a bare port means that
        case "inet":
            return socket.AF_INET, (listener.host, listener.port)
        case "inet6":
            scope = socket.if_nametoindex(listener.interface) if listener.interface else 0
            return socket.AF_INET6, (listener.host, listener.port, 0, scope)
        case "abstract":
            return socket.AF_UNIX, "\0" + listener.host
        case "vsock":
            return socket.AF_VSOCK, (int(listener.host), listener.port)
        case "netlink":
            return socket.AF_NETLINK, (0, 1 << listener.port - 1 if listener.port else 0)
        case _:
            return socket.AF_UNIX, listener.host


def _socket(listener: Listener, section: SocketSection) -> socket.socket:
    family, address = _address(listener)
    protocol = NETLINK[listener.host] if listener.family == "netlink" else section.protocol if family in (socket.AF_INET, socket.AF_INET6) else 0
    sock = socket.socket(family, _KINDS[listener.kind] | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
    try:
        if family == socket.AF_INET6 and section.bind_ipv6_only != "default":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, section.bind_ipv6_only == "ipv6-only")
        if family in (socket.AF_INET, socket.AF_INET6):
            six = family == socket.AF_INET6
            if section.bind_to_device:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, section.bind_to_device.encode() + b"\0")
            if section.reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if section.free_bind:
                sock.setsockopt(socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP, _IPV6_FREEBIND if six else _IP_FREEBIND, 1)
            if section.transparent:
                sock.setsockopt(socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP, _IPV6_TRANSPARENT if six else _IP_TRANSPARENT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.path:
            _bind_path(sock, listener.path, section)
        else:
            sock.bind(address)
        if listener.kind in ("stream", "seqpacket"):
            sock.listen(min(section.backlog, 2**31 - 1))
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_path(sock: socket.socket, path: str, section: SocketSection) -> None:
    """Bind with the mode it shall have from its first moment on; what is left of an earlier socket goes, as in systemd."""
    make_parents(path, section.directory_mode)
    before = os.umask(0o777 & ~section.mode)
    try:
        try:
            sock.bind(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not stat.S_ISSOCK(os.lstat(path).st_mode):
                raise
            os.unlink(path)
            sock.bind(path)
    finally:
        os.umask(before)


def make_parents(path: str, mode: int) -> None:
    """The directories above `path`, with DirectoryMode=. Raises OSError."""
    missing: list[str] = []
    parent = os.path.dirname(path)
    while parent not in ("/", "") and not os.path.isdir(parent):
        missing.append(parent)
        parent = os.path.dirname(parent)
    before = os.umask(0)
    try:
        for directory in reversed(missing):
            try:
                os.mkdir(directory, mode)
            except FileExistsError as error:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), directory) from error
    finally:
        os.umask(before)


def _fifo(listener: Listener, section: SocketSection) -> int:
    path = listener.path
    make_parents(path, section.directory_mode)
    before = os.umask(0o777 & ~section.mode)
    try:
        os.mkfifo(path, section.mode)
    except FileExistsError:
        pass
    finally:
        os.umask(before)
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    info = os.fstat(fd)
    if not stat.S_ISFIFO(info.st_mode):
        os.close(fd)
        raise ListenError(listener, "there is something else at that path", errno.EEXIST)
    if stat.S_IMODE(info.st_mode) != section.mode:
        os.fchmod(fd, section.mode)
    if section.pipe_size:
        try:
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, section.pipe_size)
        except OSError:
            os.close(fd)
            raise
    return fd


def _special(listener: Listener, section: SocketSection) -> int:
    access = os.O_RDWR if section.writable else os.O_RDONLY
    fd = os.open(listener.path, access | os.O_NOCTTY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    mode = os.fstat(fd).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
        os.close(fd)
        raise ListenError(listener, "it is neither a regular file nor a character device", errno.EEXIST)
    return fd


def _options(sock: socket.socket, listener: Listener, s: SocketSection) -> list[str]:
    """Set what the unit asks for; an option that is refused is a warning, as in systemd (socket_apply_socket_options)."""
    six, ip = sock.family == socket.AF_INET6, sock.family in (socket.AF_INET, socket.AF_INET6)
    tcp = ip and listener.kind == "stream"
    wanted: list[tuple[str, int, int, int | bytes | None]] = []

    def want(name: str, level: int, option: int, value: int | bytes | None) -> None:
        wanted.append((name, level, option, value))

    sol = socket.SOL_SOCKET
    if s.keep_alive:
        want("KeepAlive", sol, socket.SO_KEEPALIVE, 1)
    if s.broadcast:
        want("Broadcast", sol, socket.SO_BROADCAST, 1)
    if s.pass_credentials:
        want("PassCredentials", sol, socket.SO_PASSCRED, 1)
    if s.pass_security:
        want("PassSecurity", sol, _SO_PASSSEC, 1)
    if s.timestamping != "off":
        want("Timestamping", sol, _SO_TIMESTAMPNS if s.timestamping == "ns" else _SO_TIMESTAMP, 1)
    want("Priority", sol, socket.SO_PRIORITY, s.priority)
    want("Mark", sol, socket.SO_MARK, s.mark)
    if tcp:
        want("KeepAliveTimeSec", socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, None if s.keep_alive_time is None else int(s.keep_alive_time))
        want("KeepAliveIntervalSec", socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, None if s.keep_alive_interval is None else int(s.keep_alive_interval))
        want("KeepAliveProbes", socket.IPPROTO_TCP, socket.TCP_KEEPCNT, s.keep_alive_probes)
        want("DeferAcceptSec", socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, None if s.defer_accept is None else int(s.defer_accept))
        if s.no_delay:
            want("NoDelay", socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if s.tcp_congestion:
            want("TCPCongestion", socket.IPPROTO_TCP, socket.TCP_CONGESTION, s.tcp_congestion.encode() + b"\0")
    if ip:
        want("IPTOS", socket.IPPROTO_IP, socket.IP_TOS, s.ip_tos)
        want("IPTTL", socket.IPPROTO_IP, socket.IP_TTL, s.ip_ttl)
        if six:
            want("IPTTL", socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, s.ip_ttl)
        if s.pass_packet_info:
            want("PassPacketInfo", socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP, _IPV6_RECVPKTINFO if six else _IP_PKTINFO, 1)
    warnings: list[str] = []
    for name, level, option, value in wanted:
        if value is not None:
            try:
                sock.setsockopt(level, option, value)
            except OSError as error:
                warnings.append(f"{name}= cannot be set on {listener.address}, because {error.strerror}")
    for name, size, option, force in (
        ("ReceiveBuffer", s.receive_buffer, socket.SO_RCVBUF, _SO_RCVBUFFORCE),
        ("SendBuffer", s.send_buffer, socket.SO_SNDBUF, _SO_SNDBUFFORCE),
    ):
        if size is not None and not _buffer(sock, option, force, size):
            warnings.append(f"{name}= cannot be set on {listener.address}")
    return warnings


def _buffer(sock: socket.socket, option: int, force: int, size: int) -> bool:
    for which in (force, option):  # beyond the limit only root may go
        try:
            sock.setsockopt(socket.SOL_SOCKET, which, min(size, 2**31 - 1))
        except OSError:
            continue
        return True
    return False


def peer(connection: socket.socket) -> tuple[str, tuple[str, int], str]:
    """(source for MaxConnectionsPerSource=, (REMOTE_ADDR, REMOTE_PORT), instance without its number) of an accepted connection; systemd's instance_from_socket.

    Raises OSError when the peer is gone already.
    """
    if connection.family == socket.AF_UNIX:
        pid, uid, _gid = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return f"uid:{uid}", ("", 0), f"{pid}-{uid}"
    if connection.family in (socket.AF_INET, socket.AF_INET6):
        here, there = connection.getsockname(), connection.getpeername()
        local, remote = (str(a[0]).partition("%")[0].removeprefix("::ffff:") for a in (here, there))
        return remote, (remote, int(there[1])), f"{local}:{here[1]}-{remote}:{there[1]}"
    name = connection.getpeername()
    return str(name[0]), ("", 0), "-".join(str(part) for part in name)
