"""Values as unit files write them (reference: systemd.syntax(7), systemd.time(7), and the recorded tables in tests/data).

Every parser takes the text and returns the value, or raises ValueProblem with a hint.
"""

from __future__ import annotations

import functools
import math
import re

from unitd.units import numbers
from unitd.units.errors import ValueProblem

USEC_INFINITY = 2**64 - 1
CAPABILITIES = numbers.CAPABILITIES
_BLANK = " \t\n\r"
_SECOND = 1_000_000
# Longest spelling first: the first that matches wins.
_UNITS: tuple[tuple[str, int], ...] = (
    ("seconds", _SECOND), ("second", _SECOND), ("sec", _SECOND), ("s", _SECOND),
    ("minutes", 60 * _SECOND), ("minute", 60 * _SECOND), ("min", 60 * _SECOND),
    ("months", 2_629_800 * _SECOND), ("month", 2_629_800 * _SECOND), ("M", 2_629_800 * _SECOND),
    ("msec", 1000), ("ms", 1000), ("m", 60 * _SECOND),
    ("hours", 3600 * _SECOND), ("hour", 3600 * _SECOND), ("hr", 3600 * _SECOND), ("h", 3600 * _SECOND),
    ("days", 86400 * _SECOND), ("day", 86400 * _SECOND), ("d", 86400 * _SECOND),
    ("weeks", 604800 * _SECOND), ("week", 604800 * _SECOND), ("w", 604800 * _SECOND),
    ("years", 31_557_600 * _SECOND), ("year", 31_557_600 * _SECOND), ("y", 31_557_600 * _SECOND),
    ("usec", 1), ("us", 1), ("\u00b5s", 1), ("\u03bcs", 1),
)  # fmt: skip
_SPANS = (
    ("y", 31_557_600 * _SECOND), ("month", 2_629_800 * _SECOND), ("w", 604800 * _SECOND), ("d", 86400 * _SECOND),
    ("h", 3600 * _SECOND), ("min", 60 * _SECOND), ("s", _SECOND), ("ms", 1000), ("us", 1),
)  # fmt: skip
_NUMBER = re.compile(r"[+]?([0-9]+)(?:\.([0-9]*))?|\.([0-9]*)")
_TIME_HINT = "write a time span such as 5s, 1min 30s or infinity"


@functools.lru_cache(1024)
def parse_timespan_usec(text: str, default_unit: int = _SECOND) -> int:
    """Microseconds in a time span, USEC_INFINITY for "infinity". `default_unit` (in µs) is for numbers without a unit."""
    problem = ValueProblem(f"cannot read {text!r} as a time span", _TIME_HINT)
    if text.strip(_BLANK) == "infinity":
        return USEC_INFINITY
    total, at, found = 0, 0, False
    while True:
        at = _skip(text, at)
        if at == len(text):
            break
        number = _NUMBER.match(text, at)
        if not number:
            raise problem
        whole = number[1] or "0"
        fraction = number[2] if number[1] else number[3]
        if fraction == "" or len(whole) > 20:
            raise problem
        end = number.end()
        at = _skip(text, end)
        unit = default_unit
        for word, usec in _UNITS:
            if text.startswith(word, at):
                at, unit = at + len(word), usec
                break
        else:
            if at == end and at < len(text):
                raise problem
        if int(whole) >= USEC_INFINITY // unit:
            raise problem
        total += int(whole) * unit
        step = unit
        for digit in fraction or "":
            step //= 10
            total += int(digit) * step
        found = True
    if not found or total >= USEC_INFINITY:
        raise problem
    return total


def parse_usec(text: str, default_unit: int = _SECOND) -> int | None:
    """As parse_timespan_usec, with None for infinity."""
    usec = parse_timespan_usec(text, default_unit)
    return None if usec == USEC_INFINITY else usec


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def parse_timespan(text: str, default_unit: float = 1.0) -> float:
    """Seconds in a time span; math.inf for "infinity". `default_unit` is in seconds. Raises ValueProblem."""
    usec = parse_timespan_usec(text, round(default_unit * _SECOND))
    return math.inf if usec == USEC_INFINITY else usec / _SECOND


def parse_timeout(text: str) -> float:
    """As parse_timespan, but 0 means infinity (TimeoutStartSec= and the like)."""
    return parse_timespan(text) or math.inf


def format_timespan(usec: float) -> str:
    """A span in systemd's words: "1min 30s", "1.500000s", "infinity", "0". Takes microseconds."""
    if usec == math.inf or usec >= USEC_INFINITY:
        return "infinity"
    left = int(usec)
    if left <= 0:
        return "0"
    words = []
    for name, size in _SPANS:
        if left < size:
            continue
        whole, rest = divmod(left, size)
        if left < 60 * _SECOND and rest and size > 1:
            words.append(f"{whole}.{rest:0{len(str(size)) - 1}d}{name}")
            left = 0
        else:
            words.append(f"{whole}{name}")
            left = rest
        if left == 0:
            break
    return " ".join(words)


def format_seconds(seconds: float) -> str:
    """format_timespan for seconds."""
    return "infinity" if seconds == math.inf else format_timespan(round(seconds * _SECOND))


def parse_bool(text: str) -> bool:
    """1 yes y true t on / 0 no n false f off, in any case."""
    word = text.lower()
    if word in ("1", "yes", "y", "true", "t", "on"):
        return True
    if word in ("0", "no", "n", "false", "f", "off"):
        return False
    raise ValueProblem(f"cannot read {text!r} as a boolean", "write yes or no")


def parse_int(text: str, low: int | None = None, high: int | None = None) -> int:
    """A decimal number, 0x… and 0… (octal) as strtol reads them, within low..high."""
    body = text.strip(_BLANK)
    if not re.fullmatch(r"[+-]?([0-9]{1,20}|0[xX][0-9a-fA-F]{1,16})", body):
        raise ValueProblem(f"cannot read {text!r} as a number", "write a whole number")
    digits = body.lstrip("+-")
    base = 16 if digits[:2].lower() == "0x" else 8 if len(digits) > 1 and digits[0] == "0" else 10
    try:
        value = int(digits, base)
    except ValueError:
        raise ValueProblem(f"cannot read {text!r} as a number", "a leading 0 means octal; leave it out") from None
    value = -value if body[0] == "-" else value
    if (low is not None and value < low) or (high is not None and value > high):
        raise ValueProblem(f"{text} is out of range", f"allowed: {'' if low is None else low}..{'' if high is None else high}")
    return value


_SIZE = re.compile(r"[+]?([0-9]{1,20})(?:\.([0-9]{1,20}))?[ \t]*([BKMGTPE]?)[ \t]*")


def parse_size(text: str, base: int = 1024) -> int | None:
    """Bytes in "1.5G"; None for "infinity". Suffixes B K M G T P E. Several parts add up from large to small: "1G 512M"."""
    body = text.strip(_BLANK)
    if body == "infinity":
        return None
    total, at, last = 0, 0, 99
    while at < len(body) or not at:
        part = _SIZE.match(body, at)
        if not part:
            raise ValueProblem(f"cannot read {text!r} as a size", "write a size such as 512M, 1.5G or infinity")
        power = "BKMGTPE".index(part[3] or "B")
        if power >= last or (at and part.start() == part.end()):
            raise ValueProblem(f"cannot read {text!r} as a size", "write a size such as 512M, 1.5G or infinity")
        last, at = power, part.end()
        total += int(part[1]) * base**power
        if part[2]:
            total += int(part[2]) * base**power // 10 ** len(part[2])
    if total >= 2**64:
        raise ValueProblem(f"{text} is too large", "the largest size is below 16E")
    return total


def parse_permyriad(text: str, high: int | None = 10000) -> int:
    """A percentage with its sign, in hundredths of a percent: "33.3%" -> 3330."""
    number = re.fullmatch(r"([0-9]{1,9})(?:\.([0-9]{1,2}))?%", text.strip(_BLANK))
    value = int(number[1]) * 100 + int((number[2] or "").ljust(2, "0")) if number else -1
    if value < 0 or (high is not None and value > high):
        raise ValueProblem(f"cannot read {text!r} as a percentage", "write a percentage such as 50%")
    return value


def parse_percent(text: str, high: float | None = 100.0) -> float:
    """A percentage with its sign: "50%" -> 50.0."""
    return parse_permyriad(text, None if high is None else round(high * 100)) / 100


def parse_memory(text: str, total: int = 0) -> int | None:
    """A memory limit: a size, a percentage of `total`, or None for infinity."""
    if text.endswith("%"):
        return total * parse_permyriad(text) // 10000
    return parse_size(text)


def parse_memory_max(text: str) -> int | None:
    """MemoryMax= and siblings where 0 is refused; percentages are only checked (-> None)."""
    if text.endswith("%"):
        if parse_percent(text) == 0:
            raise ValueProblem("a limit of 0% is refused", "write a size above 0, or infinity")
        return None
    value = parse_size(text)
    if value == 0:
        raise ValueProblem("a limit of 0 is refused", "write a size above 0, or infinity")
    return value


def parse_cpu_quota(text: str) -> float:
    """CPUQuota= as a fraction of one CPU: "150%" -> 1.5."""
    value = parse_percent(text, None)
    if value <= 0:
        raise ValueProblem("a CPU quota of 0% is refused", "write a percentage above 0")
    return value / 100


def parse_weight(text: str) -> int | None:
    """CPUWeight= and IOWeight=: 1..10000; None for "idle"."""
    return None if text == "idle" else parse_int(text, 1, 10000)


def parse_tasks(text: str) -> int | None:
    """TasksMax=: a number above 0, a percentage (-> None) or infinity (-> None)."""
    if text == "infinity":
        return None
    if text.endswith("%"):
        parse_percent(text)
        return None
    return parse_int(text, 1)


def parse_mode(text: str) -> int:
    """An octal file mode, leading 0 optional."""
    if not re.fullmatch("[0-7]{1,6}", text) or int(text, 8) > 0o7777:
        raise ValueProblem(f"cannot read {text!r} as a mode", "write an octal mode such as 0755")
    return int(text, 8)


def parse_signal(text: str) -> int:
    """A signal by name (with or without SIG, upper case as in systemd), number, RTMIN+n or RTMAX-n."""
    word = text.removeprefix("SIG")
    if word in numbers.SIGNALS:
        return numbers.SIGNALS[word]
    real = re.fullmatch(r"(RTMIN|RTMAX)(?:([+-])([0-9]{1,2}))?", word)
    number = -1
    if real:
        offset = int(real[3] or 0) * (-1 if real[2] == "-" else 1)
        number = (numbers.RTMIN if real[1] == "RTMIN" else numbers.RTMAX) + offset
        if not numbers.RTMIN <= number <= numbers.RTMAX:
            number = -1
    elif text.isascii() and text.isdigit() and len(text) < 4:
        number = int(text)
    if not 1 <= number <= 64:
        raise ValueProblem(f"cannot read {text!r} as a signal", "write a name such as SIGTERM or a number from 1 to 64")
    return number


def signal_name(number: int) -> str:
    """The name without SIG, as systemd prints it: "TERM", "RTMIN+2"; the number itself for an unknown one."""
    if number in numbers.SIGNAL_NAMES:
        return numbers.SIGNAL_NAMES[number]
    if numbers.RTMIN <= number <= numbers.RTMAX:
        return f"RTMIN+{number - numbers.RTMIN}"
    return str(number)


def parse_exit_code(text: str) -> int:
    """An exit status: 0..255 or a name without EXIT_ ("TEMPFAIL")."""
    if text in numbers.EXIT_STATUS:
        return numbers.EXIT_STATUS[text]
    number = text.removeprefix("+")
    if number.isascii() and number.isdigit() and len(number) < 4 and int(number) < 256:
        return int(number)
    raise ValueProblem(f"cannot read {text!r} as an exit status", "write a number from 0 to 255 or a name such as TEMPFAIL")


def parse_cpu_set(text: str) -> frozenset[int]:
    """CPU numbers and ranges, split by blanks or commas: "0-3 6"."""
    cpus: set[int] = set()
    for word in text.replace(",", " ").split():
        span = re.fullmatch(r"[+]?([0-9]{1,4})(?:-[+]?([0-9]{1,4}))?", word)
        low, high = (int(span[1]), int(span[2] or span[1])) if span else (1, 0)
        if low > high or high >= 8192:
            raise ValueProblem(f"cannot read {word!r} as CPU numbers", "write numbers and ranges such as 0-3 6")
        cpus.update(range(low, high + 1))
    return frozenset(cpus)


_LIMIT_KINDS = {"CPU": "sec", "RTTIME": "usec", "NICE": "nice"} | dict.fromkeys(
    ("FSIZE", "DATA", "STACK", "CORE", "RSS", "AS", "MEMLOCK", "MSGQUEUE"), "size"
)


def parse_limit(name: str, text: str) -> tuple[int | None, int | None]:
    """The value of Limit`name`=: "soft:hard" or one value for both; None is infinity. Sizes, times and nice levels by name."""
    kind = _LIMIT_KINDS.get(name, "count")
    parts = text.split(":")
    if len(parts) > 2:
        raise ValueProblem(f"cannot read {text!r} as a limit", "write one value, or SOFT:HARD")
    values = [_limit_value(part.strip(_BLANK), kind) for part in parts]
    if USEC_INFINITY in values:
        raise ValueProblem(f"{text} is out of range", "write infinity for no limit")
    soft, hard = values[0], values[-1]
    if hard is not None and (soft is None or soft > hard):
        raise ValueProblem(f"the soft limit in {text!r} is above the hard limit", "write SOFT:HARD with SOFT not above HARD")
    return soft, hard


def _limit_value(text: str, kind: str) -> int | None:
    if text == "infinity" and kind != "nice":
        return None
    if kind == "size":
        return parse_size(text)
    if kind in ("sec", "usec"):
        usec = parse_timespan_usec(text, _SECOND if kind == "sec" else 1)
        return usec if kind == "usec" else -(-usec // _SECOND)
    if kind == "nice" and text[:1] in ("+", "-"):
        return 20 - parse_int(text, -20, 19)
    return parse_int(text, 0, 40 if kind == "nice" else 2**64 - 1)


def parse_capability(word: str) -> int:
    """The number of CAP_…, any case, or a bare number."""
    prefix, name = word[:4].upper(), word[4:].upper()
    if prefix == "CAP_" and name in numbers.CAPABILITIES:
        return numbers.CAPABILITIES.index(name)
    if word.isascii() and word.isdigit() and len(word) < 3 and int(word) < 64:
        return int(word)
    raise ValueProblem(f"unknown capability {word!r}", "write a name such as CAP_NET_BIND_SERVICE")


def simplify_path(path: str) -> str:
    """The path without doubled slashes, `.` parts and a slash at its end, as path_simplify() of systemd has it; `..` stays."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return ("/" if path.startswith("/") else "") + "/".join(parts)


def parse_path(text: str) -> str:
    """An absolute path, simplified. Raises ValueProblem for a relative one and for one with `..`."""
    if not text.startswith("/"):
        raise ValueProblem(f"cannot use {text!r}, because it is not absolute", "write an absolute path")
    if ".." in text.split("/"):
        raise ValueProblem(f"cannot use {text!r}, because it has .. in it", "write the path without it")
    return simplify_path(text)


def is_env_name(name: str) -> bool:
    """True for a usable environment variable name."""
    return re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) is not None
