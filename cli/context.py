"""What a verb works with: the connection, the terminal, and the options that all verbs share."""

from __future__ import annotations

import sys

from unitd.units.suffix import unit_names as unit_names  # for the verbs' modules

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from unitd.bus.client import Client
    from unitd.bus.messages import Reply
    from unitd.bus.quick import Answer


class Context:
    """One run of unitctl."""

    def __init__(self, bus: str | None = None, json: bool = False, quiet: bool = False) -> None:
        self.bus, self.json, self.quiet = bus, json, quiet
        self.colour = False
        if sys.stdout.isatty():
            from os import environ

            self.colour = use_colour(environ, True)
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """The connection to the manager. Raises BadEndpoint."""
        if self._client is None:
            from unitd.bus.client import Client
            from unitd.bus.endpoint import here

            self._client = Client(here(self.bus))
        return self._client

    def call(self, verb: str, units: Sequence[str] = (), **options: Any) -> Answer | Reply:
        """Ask the manager and print what it says on stderr. Raises BusError."""
        reply = self.quick(verb, units, options) or self.client.call(verb, units, **options)
        if reply.err:
            sys.stderr.write(printable(reply.err, sys.stderr.encoding))
        return reply

    def quick(self, verb: str, units: Sequence[str], options: dict[str, Any]) -> Answer | None:
        """The answer without the imports of the full client; None when only that can help. Raises BusError, BadEndpoint."""
        if self._client is not None:
            return None
        from unitd.bus import quick
        from unitd.bus.endpoint import here

        endpoint = here(self.bus)
        try:
            return quick.call(endpoint, verb, units, options)
        except OSError as error:
            from unitd.bus.client import Unreachable

            text = error.strerror or str(error)
            raise Unreachable(f"unitd at {endpoint} went away during {verb}: {text}", "whether it took effect is unknown") from None

    def text(self, text: str) -> None:
        """Print without a newline; nothing with --quiet."""
        if not self.quiet:
            sys.stdout.write(printable(text, sys.stdout.encoding))

    def dump(self, reply: Answer | Reply) -> int:
        """With --json: the data, or all of the reply for verbs without any. The exit code."""
        import json

        from unitd.bus.quick import fields

        value = fields(reply) if reply.data is None else reply.data
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        return reply.exit_code

    def say(self, reply: Answer | Reply) -> int:
        """Print what a verb without data answers. The exit code."""
        if self.json:
            return self.dump(reply)
        self.text(reply.out)
        return reply.exit_code

    def close(self) -> None:
        """End the connection."""
        if self._client is not None:
            self._client.close()


def use_colour(environ: Mapping[str, str], tty: bool) -> bool:
    """On a terminal that can, unless NO_COLOR is set (no-color.org)."""
    return tty and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def printable(text: str, encoding: str | None) -> str:
    """Text that the terminal's encoding can take."""
    name = encoding or "ascii"
    return text.encode(name, "backslashreplace").decode(name)
