"""Sparklines as SVG for pages without scripts, and numbers as words. Pure. The scripts draw the same from the same samples."""

from __future__ import annotations

from collections.abc import Sequence

from unitd.bus.timetext import ago


def sparkline(values: Sequence[float], width: int = 90, height: int = 22) -> str:
    """A line over the values, oldest left; empty for fewer than two."""
    if len(values) < 2:
        return ""
    top = max(*values, 1e-9)
    step = width / (len(values) - 1)
    points = " ".join(f"{i * step:.1f},{height - 1 - (height - 2) * max(0.0, v) / top:.1f}" for i, v in enumerate(values))
    return f'<svg class="spark" viewBox="0 0 {width} {height}" width="{width}" height="{height}" aria-hidden="true"><polyline points="{points}"/></svg>'


def size(count: float | None) -> str:
    """`12.3M`; empty when unknown."""
    if count is None:
        return ""
    value = float(count)
    for unit in "BKMGTP":
        if value < 1024 or unit == "P":
            return f"{value:.0f}{unit}" if unit == "B" or value >= 100 else f"{value:.1f}{unit}"
        value /= 1024
    return ""


def percent(cores: float | None) -> str:
    """CPU as per cent of one core; empty when unknown."""
    return "" if cores is None else f"{cores * 100:.1f}%"


def when(at: float, now: float) -> str:
    """`5min ago`, empty for never."""
    return ago(max(0.0, now - at)) if at else ""
