"""Small graphs out of characters. Pure: numbers in, text out."""

from __future__ import annotations

from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
ASCII = "_.-=*#%@"


def spark(values: Sequence[float], width: int, top: float = 0.0, unicode: bool = True) -> str:
    """One line of `width` characters of the last values, right-aligned; `top` is the least that the highest bar stands for."""
    bars = BARS if unicode else ASCII
    shown = list(values)[-width:] if width > 0 else []
    highest = max([top, *shown]) or 1.0
    return "".join(bars[min(7, int(7 * max(0.0, value) / highest + 0.5))] for value in shown).rjust(width)


def resample(points: Sequence[tuple[float, float]], start: float, end: float, count: int) -> list[float | None]:
    """Values by time in `count` equal parts from `start` to `end`: the highest of each; a part without any has the one before it, if it is near."""
    found: list[float | None] = [None] * count
    span = (end - start) / count
    if span <= 0:
        return found
    for at, value in points:
        index = int((at - start) / span)
        if index == count and at <= end:
            index -= 1
        if 0 <= index < count:
            before = found[index]
            found[index] = value if before is None else max(before, value)
    # samples come less often than there are columns: short holes are no gaps
    hole = max(1, int(12 / span))
    last: float | None = None
    age = 0
    for i, cell in enumerate(found):
        if cell is not None:
            last, age = cell, 0
        elif last is not None and age < hole:
            found[i], age = last, age + 1
    return found


_DOTS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))  # of a braille cell, from the bottom, left and right


def braille(values: Sequence[float | None], height: int, top: float) -> list[str]:
    """A filled graph of `height` lines, two values and four levels to a character; None leaves a hole."""
    width = (len(values) + 1) // 2
    cells = [[0] * width for _ in range(height)]
    for x, value in enumerate(values):
        if value is None:
            continue
        level = max(1, round(value / top * height * 4)) if top > 0 else 1
        for y in range(min(level, height * 4)):
            cells[height - 1 - y // 4][x // 2] |= _DOTS[x % 2][y % 4]
    return ["".join(chr(0x2800 + cell) for cell in row) for row in cells]


def columns(values: Sequence[float | None], height: int, top: float) -> list[str]:
    """The same of ASCII characters, one value to a character."""
    rows = []
    for y in range(height, 0, -1):
        rows.append("".join(" " if v is None else "#" if top > 0 and v / top * height > y - 0.5 else "_" if y == 1 else " " for v in values))
    return rows
