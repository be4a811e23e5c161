"""The page's process: where it listens, and when it ends. The socket comes from unitd (LISTEN_FDS) or is opened here."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from http.client import HTTPException

import gevent
from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer

from unitd.bus import endpoint as endpoints
from unitd.bus.pagetoken import page_token, read_secret
from unitd.web import security
from unitd.web.app import Page
from unitd.web.auth import Auth
from unitd.web.requests import MAX_BODY
from unitd.web.source import Source

log = logging.getLogger("unitd.web")

#: Connections at once; more wait in the backlog.
CONNECTIONS = 2000
#: A client that neither sends nor takes anything for so long is let go, in seconds.
STUCK = 60.0
FIRST_FD = 3


class Handler(WSGIHandler):  # type: ignore[misc]
    """gevent's, that lets go of clients that are stuck, and logs nothing for each request."""

    content_length: int | None

    def handle(self) -> None:
        """One connection."""
        self.socket.settimeout(STUCK)
        with contextlib.suppress(TimeoutError):
            super().handle()

    def read_request(self, raw_requestline: str) -> bool:
        """Bodies that nobody here wants are not waited for. Raises ValueError for what is refused with 400."""
        try:
            good = bool(super().read_request(raw_requestline))
        except HTTPException as error:
            raise ValueError(str(error)) from None
        if self.headers.get("transfer-encoding"):
            raise ValueError("a body without a length")
        if (self.content_length or 0) > MAX_BODY:
            self.content_length, self.close_connection = 0, True  # the application says 413
        return good

    def log_request(self) -> None:
        """Requests are not logged: their paths are nobody's business."""


class Cannot(Exception):
    """The page cannot be served; the text says why."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m unitd.web", description="The status page of unitd.", allow_abbrev=False)
    parser.add_argument("--bus", help="bus of the manager (default: $UNITD_BUS, or the one in the runtime directory)")
    parser.add_argument("--listen", default="127.0.0.1:8641", metavar="ADDRESS", help="HOST:PORT on loopback, [::1]:PORT or unix:PATH; a socket from unitd goes first")
    parser.add_argument("--remote", action="store_true", help="allow an address that is not loopback; put TLS in front of it")
    parser.add_argument("--host", action="append", default=[], metavar="NAME", help="a host name that a proxy in front of the page is called by; may be repeated")
    parser.add_argument("--password-file", metavar="FILE", help="its first line opens the page, as the token does")
    parser.add_argument("--read-only", action="store_true", help="show, and change nothing")
    parser.add_argument("--public-read", action="store_true", help="show everything, output too, to whoever reaches the address; changes need the token")
    parser.add_argument("--idle-exit", type=float, default=0.0, metavar="SECONDS", help="end after so long without a visitor (default: never)")
    return parser.parse_args(argv)


def inherited() -> socket.socket | None:
    """The socket that unitd hands over (sd_listen_fds(3)), None without. Raises Cannot."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = os.environ.get("LISTEN_FDS", "")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    if count != "1":
        raise Cannot(f"cannot listen on {count} sockets, only on one; try a single ListenStream=")
    try:
        return socket.socket(fileno=FIRST_FD)
    except OSError as error:
        raise Cannot(f"cannot use the socket that was handed over: {error.strerror}") from None


def listen(address: str, remote: bool) -> socket.socket:
    """Open a listening socket. Raises Cannot."""
    try:
        if address.startswith("unix:"):
            return _listen_unix(address.removeprefix("unix:"))
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise Cannot(f"cannot listen at {address!r}, because it is no address; try 127.0.0.1:8641 or unix:/run/unitd/web")
        if not remote and not security.is_loopback(host):
            raise Cannot(f"cannot listen at {address}, because it is not loopback; put a proxy with TLS in front of the page, or say --remote")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host.strip("[]"), int(port)))
        found.listen(1024)
    except OSError as error:
        raise Cannot(f"cannot listen at {address}: {error.strerror or error}") from None
    return found


def _listen_unix(path: str) -> socket.socket:
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.suppress(FileNotFoundError):
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # of a page that is gone
        finally:
            probe.close()
    before = os.umask(0o177)
    try:
        found.bind(path)
    finally:
        os.umask(before)
    found.listen(1024)
    return found


def describe(listener: socket.socket) -> tuple[str, frozenset[str], str]:
    """(address as people write it, Host headers that are its own, a tag for the cookie's name)."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{name}", frozenset({"localhost"}), "unix"
    host, port = str(name[0]), int(name[1])
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"http://{shown}/", security.local_hosts(port) | {shown}, str(port)


class Idle:
    """Ends the server when nobody was there for long."""

    def __init__(self, page: Page, server: WSGIServer, seconds: float) -> None:
        self.page, self.server, self.seconds = page, server, seconds
        self.last = time.monotonic()
        page.seen = self.seen

    def seen(self) -> None:
        """A visitor."""
        self.last = time.monotonic()

    def run(self) -> None:
        """Sleeps until the time could be over, each time."""
        while True:
            if self.page.hub.visitors:
                self.seen()
            left = self.last + self.seconds - time.monotonic()
            if left <= 0:
                log.info("nobody was here for %.0f s", self.seconds)
                self.server.stop(timeout=1)
                return
            gevent.sleep(left)


def serve(argv: Sequence[str]) -> int:
    """Serve until a signal, or until idle; the exit code. Raises Cannot."""
    options = parse(argv)
    try:
        source = Source(endpoints.find(options.bus, os.environ, os.getuid()))
        listener = inherited() or listen(options.listen, options.remote)
        password = read_secret(options.password_file) if options.password_file else ""
        token = page_token(source.runtime_dir)
    except endpoints.BadEndpoint as error:
        raise Cannot(str(error)) from None
    except OSError as error:
        raise Cannot(f"cannot keep the page's secrets: {error.filename}: {error.strerror}; is unitd running?") from None
    listener.setblocking(False)
    address, hosts, tag = describe(listener)
    policy = security.Policy(hosts, frozenset(h.lower() for h in options.host), options.read_only, options.public_read)
    page = Page(source, Auth(token, password, tag), policy)
    server = WSGIServer(listener, page.application(), spawn=Pool(CONNECTIONS), log=None, error_log=log, handler_class=Handler)
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, server.stop, 1)
    if options.idle_exit > 0:
        gevent.spawn(Idle(page, server, options.idle_exit).run)
    log.info("status page at %s", address)
    server.serve_forever()
    return 0


def main() -> int:
    """Entry point of `python -m unitd.web`."""
    logging.basicConfig(stream=sys.stderr, format="unitd.web: %(message)s", level=logging.INFO)
    try:
        return serve(sys.argv[1:])
    except Cannot as error:
        print(f"unitd.web: {error}", file=sys.stderr)
        return 1
