"""web: where the status page is, and the token that opens it."""

from __future__ import annotations

import os
import sys

from unitd.bus.connecting import BusError
from unitd.cli.context import Context

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse

SOCKET = "unitd-status.socket"


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Options of web."""
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    parser.add_argument("--url", action="store_true", help="print the address alone, without the token")
    parser.add_argument("--token", action="store_true", help="print the token alone, for programs")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Have its socket open, and tell. Raises BusError."""
    from unitd.bus.endpoint import path_of
    from unitd.bus.pagetoken import page_token

    try:
        token = page_token(os.path.dirname(path_of(context.client.endpoint)))
    except OSError as error:
        reason = error.args[1] if len(error.args) > 1 else error
        print(f"unitctl: cannot read the token of the status page ({error.filename}): {reason}", file=sys.stderr)
        return 1
    if args.token:
        print(token)
        return 0
    url = address(context)
    if args.url:
        print(url)
        return 0
    if args.open:
        return show(f"{url}#token={token}")
    print(f"{url}#token={token}")
    return 0


def address(context: Context) -> str:
    """The page's address; its socket is opened if it is not. Raises BusError."""
    context.client.check("start", [SOCKET])
    listen = str(context.client.show([SOCKET])[0].get("Listen") or "")
    return url_of(listen.splitlines()[0].removesuffix(" (Stream)") if listen else "")


def url_of(listen: str) -> str:
    """The address for a ListenStream=. Raises BusError for a socket that a browser cannot reach."""
    host, _, port = listen.rpartition(":")
    if not port.isdigit():
        raise BusError(
            f"cannot name an address of the status page, because {SOCKET} listens at {listen or 'nothing'}", "a browser needs ListenStream=127.0.0.1:PORT"
        )
    if host in ("", "0.0.0.0", "[::]"):  # noqa: S104 - what was bound, not what is
        host = "127.0.0.1"
    return f"http://{host}:{port}/"


def show(url: str) -> int:
    """Open it in a browser; without one say so."""
    import webbrowser

    if webbrowser.open(url):
        return 0
    print(f"unitctl: cannot find a browser; the address is {url}", file=sys.stderr)
    return 1
