"""How a line of output is printed: short, short-iso, json, or as it came."""

from __future__ import annotations

import json
import re

from unitd.bus.timetext import log_iso, log_stamp

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from unitd.bus.logclient import UnitLine

STYLES = ("short", "short-iso", "cat", "json")
STREAMS = {0: "stdout", 1: "stderr", 2: "unitd"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def readable(text: bytes) -> str:
    """Text with everything escaped that is no text: bytes that are not UTF-8, and control characters but tabs. One line stays one line."""
    decoded = text.removesuffix(b"\r").decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda m: f"\\x{ord(m[0]):02x}", decoded)


class Printer:
    """Turns lines into bytes; remembers whether the last one is still open."""

    def __init__(self, style: str, name: Callable[[str], str] | None = None) -> None:
        """`name` gives what stands in front for a unit."""
        self.style, self._name = style, name or (lambda unit: unit.removesuffix(".service"))
        self._names: dict[str, str] = {}
        self._open: tuple[str, int] | None = None
        self._second = (-1, "")

    def lines(self, rows: Iterable[UnitLine]) -> Iterable[bytes]:
        """A piece of output for each row."""
        if self.style == "cat":
            return (row.text + b"\n" if row.ended else row.text for row in rows)
        return (self._json(row) for row in rows) if self.style == "json" else (self._short(row) for row in rows)

    def end(self) -> bytes:
        """What to print when nothing comes any more."""
        return b"\n" if self._open is not None else b""

    def _json(self, row: UnitLine) -> bytes:
        fields = {
            "unit": row.unit,
            "realtime": row.realtime,
            "stream": STREAMS.get(row.stream, str(row.stream)),
            "text": row.text.decode("utf-8", "backslashreplace"),
        }
        if not row.ended:
            fields["ended"] = False
        return json.dumps(fields, ensure_ascii=False).encode() + b"\n"

    def _short(self, row: UnitLine) -> bytes:
        """Pieces of one line go behind each other."""
        who = row.unit, row.stream
        before = b""
        if self._open == who:
            head = ""
        else:
            before = self.end()
            name = self._names.get(row.unit)
            if name is None:
                name = self._names[row.unit] = self._name(row.unit)
            head = f"{self._stamp(row.realtime)} {name}: "
        self._open = None if row.ended else who
        return before + (head + readable(row.text)).encode("utf-8", "backslashreplace") + (b"\n" if row.ended else b"")

    def _stamp(self, realtime: float) -> str:
        second = int(realtime)
        if self._second[0] != second:
            self._second = second, log_iso(realtime) if self.style == "short-iso" else log_stamp(realtime)
        return self._second[1]
