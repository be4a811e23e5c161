"""Values about captured output, as unit files and unitd.conf have them. Pure."""

from __future__ import annotations

import math

from unitd.units import values
from unitd.units.errors import ValueProblem

COMPRESSIONS = ("no", "yes", "zstd", "gzip")


def log_size(text: str) -> int:
    """Bytes, 0 for infinity. Raises ValueProblem."""
    return values.parse_size(text) or 0


def log_age(text: str) -> float:
    """Seconds, 0 for infinity. Raises ValueProblem."""
    seconds = values.parse_timespan(text)
    return 0.0 if math.isinf(seconds) else seconds


def log_compress(text: str) -> str:
    """A boolean, or a method. Raises ValueProblem."""
    word = text.lower()
    if word in ("zstd", "gzip"):
        return word
    try:
        return "yes" if values.parse_bool(word) else "no"
    except ValueProblem:
        raise ValueProblem(f"cannot take {text!r}", "one of " + ", ".join(COMPRESSIONS)) from None
