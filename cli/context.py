"""What a verb works with: the connection, the terminal, and the options that all verbs share."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from unitd.bus.messages import Reply
from unitd.units.names import with_suffix

if TYPE_CHECKING:
    from unitd.bus.client import Client


class Context:
    """One run of unitctl."""

    def __init__(self, bus: str | None = None, json: bool = False, quiet: bool = False) -> None:
        self.bus, self.json, self.quiet = bus, json, quiet
        self.colour = use_colour(os.environ, sys.stdout.isatty())
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """The connection to the manager. Raises BadEndpoint."""
        if self._client is None:
            from unitd.bus.client import Client
            from unitd.bus.endpoint import find

            self._client = Client(find(self.bus, os.environ, os.getuid()))
        return self._client

    def call(self, verb: str, units: Sequence[str] = (), **options: Any) -> Reply:
        """Ask the manager and print what it says on stderr. Raises BusError."""
        reply = self.client.call(verb, units, **options)
        if reply.err:
            sys.stderr.write(printable(reply.err, sys.stderr.encoding))
        return reply

    def text(self, text: str) -> None:
        """Print without a newline; nothing with --quiet."""
        if not self.quiet:
            sys.stdout.write(printable(text, sys.stdout.encoding))

    def dump(self, reply: Reply) -> int:
        """With --json: the data, or all of the reply for verbs without any. The exit code."""
        import msgspec

        value: Any = reply.data
        if value is None:
            value = {k: v for k, v in msgspec.to_builtins(reply).items() if k != "id"}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
        return reply.exit_code

    def say(self, reply: Reply) -> int:
        """Print what a verb without data answers. The exit code."""
        if self.json:
            return self.dump(reply)
        self.text(reply.out)
        return reply.exit_code

    def close(self) -> None:
        """End the connection."""
        if self._client is not None:
            self._client.close()


def use_colour(environ: os._Environ[str] | dict[str, str], tty: bool) -> bool:
    """On a terminal that can, unless NO_COLOR is set (no-color.org)."""
    return tty and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def printable(text: str, encoding: str | None) -> str:
    """Text that the terminal's encoding can take."""
    name = encoding or "ascii"
    return text.encode(name, "backslashreplace").decode(name)


def unit_names(words: Sequence[str]) -> list[str]:
    """Names with their suffix; globs are left to the manager."""
    return [word if any(c in word for c in "*?[") else with_suffix(word) for word in words]
