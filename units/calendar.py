"""Calendar expressions, as OnCalendar= takes them: their grammar and their normalised form (systemd.time(7), CALENDAR EVENTS).

`next_elapse` in calendarnext tells when one is due. What is accepted follows systemd 252 to the letter; the recorded table is in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, tzinfo

import msgspec

from unitd.units.errors import ValueProblem
from unitd.units.zone import SECOND, UTC_ZONE, Zone, find_zone, moment_of

MIN_YEAR, MAX_YEAR = 1970, 2199
_INT_MAX = 2**31 - 1
_MAX_COMPONENTS = 240
ALL_DAYS = 127
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
#: Spellings in the order in which they are tried: the long one first.
_DAY_WORDS = tuple((word.casefold(), number) for number, day in enumerate(_DAYS) for word in (day, day[:3]))
_ENDS = ("", " ", ",", "-", "~", ":")
_HINT = "write it as 'Mon..Fri *-*-* 09:00:00', or daily, weekly, hourly; 'unitctl calendar' tries expressions out"


@dataclass(frozen=True, order=True)
class Component:
    """`start..stop/repeat`; stop -1: open, repeat 0: just `start`. Seconds count in microseconds."""

    start: int
    stop: int = -1
    repeat: int = 0


Chain = tuple[Component, ...]  # empty: any value


class CalendarSpec(msgspec.Struct, frozen=True):
    """A parsed expression. `weekdays` has a bit for each day from Monday on; `zone` is a name of the database, an abbreviation of the local zone, or UTC."""

    weekdays: int = ALL_DAYS
    year: Chain = ()
    month: Chain = ()
    day: Chain = ()
    end_of_month: bool = False  # days count from the last one back
    hour: Chain = ()
    minute: Chain = ()
    usec: Chain = ()
    zone: str = ""
    rules: tzinfo | None = None  # None: the local zone

    def __str__(self) -> str:
        """The normalised form."""
        days = "" if self.weekdays == ALL_DAYS else _format_days(self.weekdays) + " "
        date = f"{_format(self.year, 4)}-{_format(self.month, 2)}{'~' if self.end_of_month else '-'}{_format(self.day, 2)}"
        time = f"{_format(self.hour, 2)}:{_format(self.minute, 2)}:{_format(self.usec, 2, SECOND)}"
        return f"{days}{date} {time}" + (f" {self.zone}" if self.zone else "")


def _one(value: int) -> Chain:
    return (Component(value),)


_ZERO, _FIRST = _one(0), _one(1)


def _midnight(weekdays: int = ALL_DAYS, month: Chain = (), day: Chain = ()) -> CalendarSpec:
    return CalendarSpec(weekdays=weekdays, month=month, day=day, hour=_ZERO, minute=_ZERO, usec=_ZERO)


_QUARTERS = tuple(Component(m) for m in (1, 4, 7, 10))
_HALVES = tuple(Component(m) for m in (1, 7))
_SHORTHANDS: dict[str, CalendarSpec] = {
    "minutely": CalendarSpec(usec=_ZERO),
    "hourly": CalendarSpec(minute=_ZERO, usec=_ZERO),
    "daily": _midnight(),
    "weekly": _midnight(weekdays=1),
    "monthly": _midnight(day=_FIRST),
    "quarterly": _midnight(month=_QUARTERS, day=_FIRST),
}
_SHORTHANDS |= dict.fromkeys(("biannually", "bi-annually", "semiannually", "semi-annually"), _midnight(month=_HALVES, day=_FIRST))
_SHORTHANDS |= dict.fromkeys(("yearly", "annually", "anually"), _midnight(month=_FIRST, day=_FIRST))


def parse_calendar(text: str, local: Zone = UTC_ZONE) -> CalendarSpec:
    """The expression in `text`. `local` is only asked for what its abbreviations mean. Raises ValueProblem."""
    body, zone, rules = _split_zone(text, local)
    short = _SHORTHANDS.get(body.lower())
    try:
        if short is not None:
            year, month, day, end, hour, minute, usec = short.year, short.month, short.day, False, short.hour, short.minute, short.usec
            weekdays = short.weekdays
        else:
            scan = _Scan(body)
            if not body:
                raise scan.wrong("it is empty")
            weekdays = scan.weekdays()
            if scan.peek() == "@":
                year, month, day, hour, minute, usec = scan.seconds()
                end, zone, rules = False, "UTC", UTC
            else:
                year, month, day, end = scan.date()
                hour, minute, usec = scan.time()
            scan.end()
        spec = CalendarSpec(
            weekdays if 0 < weekdays < ALL_DAYS else ALL_DAYS, _normal(_full_years(year)), _normal(month), _normal(day), end and bool(day),
            _normal(hour), _normal(minute), _normal(usec), zone, rules,
        )  # fmt: skip
        _check("year", spec.year, MIN_YEAR, MAX_YEAR)
        _check("month", spec.month, 1, 12)
        _check("day", spec.day, 1, 28 if spec.end_of_month else 31, spec.end_of_month)
        _check("hour", spec.hour, 0, 23)
        _check("minute", spec.minute, 0, 59)
        _check("second", spec.usec, 0, 60 * SECOND - 1)
    except _Wrong as error:
        raise ValueProblem(f"cannot read {text!r} as a calendar expression, because {error}", _HINT) from None
    return spec


def _split_zone(text: str, local: Zone) -> tuple[str, str, tzinfo | None]:
    """Expression, name of its zone, and the zone's rules."""
    if text.casefold().endswith(" utc"):
        return text[:-4], "UTC", UTC
    rest, blank, last = text.rpartition(" ")
    if blank:
        for name in (local.standard, local.summer):
            fixed = local.named(name) if last.casefold() == name.casefold() else None
            if fixed is not None:
                return rest, name, fixed
        rules = find_zone(last) if last[:1].isalpha() else None
        if rules is not None:
            return rest, last, rules
    return text, "", None


class _Wrong(ValueError):
    """What does not fit, as the end of a sentence."""


class _Scan:
    """The text and how far it has been read."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def peek(self, ahead: int = 0) -> str:
        return self.text[self.at + ahead : self.at + ahead + 1]

    def blanks(self) -> None:
        while self.peek() == " ":
            self.at += 1

    def wrong(self, because: str = "") -> _Wrong:
        return _Wrong(because or (f"{self.text[self.at :]!r} does not fit there" if self.peek() else "it ends too early"))

    def end(self) -> None:
        if self.peek():
            raise self.wrong()

    # -- days of the week

    def weekdays(self) -> int:
        """Bits of the days at the beginning; 0 when there are none."""
        bits, since, first = 0, -1, True
        while True:
            rest = self.text[self.at :].casefold()
            word, number = next(((w, n) for w, n in _DAY_WORDS if rest.startswith(w)), ("", -1))
            if not word:
                if first:
                    return 0
                raise self.wrong()
            if self.peek(len(word)) not in ("", "-", ".", ",", " "):
                raise self.wrong()
            bits |= 1 << number
            if since >= 0:
                if since > number:
                    raise _Wrong("days go from Monday to Sunday")
                for between in range(since + 1, number):
                    bits |= 1 << between
            self.at += len(word)
            mark = self.peek()
            if mark == "":
                return bits
            if mark == " ":
                self.blanks()
                return bits
            if mark == ",":
                since = -1
                self.at += 1
            else:
                width = 1 if mark == "-" else 2
                if since >= 0 or (mark == "." and self.peek(1) != "."):
                    raise self.wrong()
                since = number
                self.at += width
            if self.peek() in ("", " "):  # a comma may end the days, a range may not
                if since >= 0:
                    raise self.wrong()
                self.blanks()
                return bits
            first = False

    # -- numbers

    def number(self) -> int:
        begin = self.at
        while self.peek() and self.peek() in "0123456789":
            self.at += 1
        if begin == self.at:
            raise self.wrong()
        value = int(self.text[begin : self.at]) if self.at - begin < 20 else _INT_MAX + 1
        if value > _INT_MAX:
            raise _Wrong("a number is too large")
        return value

    def decimal(self, usec: bool) -> int:
        value = self.number()
        if not usec:
            return value
        if value > _INT_MAX // SECOND:
            raise _Wrong("a number is too large")
        value *= SECOND
        if self.peek() == "." and self.peek(1) != ".":
            self.at += 1
            begin = self.at
            while self.peek() and self.peek() in "0123456789":
                self.at += 1
            digits = self.text[begin : self.at]
            if not digits:
                raise self.wrong()
            value += int(digits[:6].ljust(6, "0")) + (1 if digits[6:7] >= "5" else 0)
        if value > _INT_MAX:
            raise _Wrong("a number is too large")
        return value

    def component(self, usec: bool) -> Component:
        start, stop, repeat = self.decimal(usec), -1, 0
        if self.peek() == "." and self.peek(1) == ".":
            self.at += 2
            stop = self.decimal(usec)
            repeat = SECOND if usec else 1
        if self.peek() == "/":
            self.at += 1
            repeat = self.decimal(usec)
            if repeat == 0:
                raise _Wrong("it repeats every 0")
        elif usec and stop >= 0 and start + repeat > stop:
            raise _Wrong("a range of seconds has less than one second")
        if self.peek() not in _ENDS:
            raise self.wrong()
        return Component(start, stop, repeat)

    def chain(self, usec: bool = False) -> Chain:
        if self.peek() == "*":
            self.at += 1
            return (Component(0, -1, SECOND),) if usec else ()
        found = [self.component(usec)]
        while self.peek() == ",":
            self.at += 1
            if len(found) > _MAX_COMPONENTS:
                raise _Wrong(f"it has more than {_MAX_COMPONENTS} values in one list")
            found.append(self.component(usec))
        return tuple(found)

    # -- dates and times

    def seconds(self) -> tuple[Chain, Chain, Chain, Chain, Chain, Chain]:
        """@SECONDS since 1970."""
        self.at += 1
        moment = moment_of(self.number() * SECOND)
        return _one(moment.year), _one(moment.month), _one(moment.day), _one(moment.hour), _one(moment.minute), _one(moment.second * SECOND)

    def date(self) -> tuple[Chain, Chain, Chain, bool]:
        """Year, month, day, and whether days count from the end. Takes nothing when the text goes on with a time."""
        if not self.peek():
            return (), (), (), False
        begin = self.at
        first = self.chain()
        if self.peek() in ("", ":"):
            self.at = begin
            return (), (), (), False
        end = self._dash()
        second = self.chain()
        if self.peek() in ("", " "):
            self.blanks()
            return (), first, second, end
        if end:
            raise self.wrong()
        end = self._dash()
        third = self.chain()
        if self.peek() not in ("", " "):
            raise self.wrong()
        self.blanks()
        return first, second, third, end

    def _dash(self) -> bool:
        mark = self.peek()
        if mark not in ("~", "-") or not mark:
            raise self.wrong()
        self.at += 1
        return mark == "~"

    def time(self) -> tuple[Chain, Chain, Chain]:
        """Hour, minute and second; midnight when there is nothing."""
        if not self.peek():
            return _ZERO, _ZERO, _ZERO
        hour = self.chain()
        if self.peek() != ":":
            raise self.wrong()
        self.at += 1
        minute = self.chain()
        if not self.peek():
            return hour, minute, _ZERO
        if self.peek() != ":":
            raise self.wrong()
        self.at += 1
        return hour, minute, self.chain(usec=True)


def _full_years(chain: Chain) -> Chain:
    def full(year: int) -> int:
        return year + 2000 if 0 <= year < 70 else year + 1900 if 70 <= year < 100 else year

    return tuple(Component(full(c.start), full(c.stop), c.repeat) for c in chain)


def _normal(chain: Chain) -> Chain:
    """Ranges that end on a repetition, sorted, each once."""
    found = []
    for c in chain:
        stop = c.stop - (c.stop - c.start) % c.repeat if c.stop > c.start and c.repeat > 0 else c.stop
        found.append(Component(c.start) if stop == c.start else Component(c.start, stop, c.repeat))
    return tuple(sorted(set(found)))


def _check(what: str, chain: Chain, low: int, high: int, from_end: bool = False) -> None:
    """Every value is possible, and every repetition happens at least once. Raises _Wrong."""
    scale = SECOND if what == "second" else 1
    span = f"{low // scale}..{high // scale}"
    for c in chain:
        if not low <= c.start <= high or (c.stop >= 0 and not low <= c.stop <= high):
            raise _Wrong(f"the {what} is not within {span}")
        too_long = c.start + c.repeat > c.stop if c.stop >= 0 else c.start - c.repeat < low if from_end else c.start + c.repeat > high
        if c.repeat > high - low or too_long:
            raise _Wrong(f"a repetition leaves the {what}'s range")


def _format_days(bits: int) -> str:
    words: list[str] = []
    day = 0
    while day < 7:
        if bits >> day & 1:
            last = day
            while last < 6 and bits >> (last + 1) & 1:
                last += 1
            short = [_DAYS[d][:3] for d in (day, last)]
            words += [f"{short[0]}..{short[1]}"] if last > day + 1 else [_DAYS[d][:3] for d in range(day, last + 1)]
            day = last
        day += 1
    return ",".join(words)


def _format(chain: Chain, width: int, scale: int = 1) -> str:
    if not chain or (scale > 1 and any(c.start == 0 and c.stop < 0 and c.repeat == SECOND for c in chain)):
        return "*"

    def text(value: int, pad: int) -> str:
        fraction = f".{value % scale:06d}" if value % scale else ""
        return f"{value // scale:0{pad}d}{fraction}"

    words = []
    for c in chain:
        word = text(c.start, width)
        if c.stop > 0:
            word += ".." + text(c.stop, width)
        if c.repeat > 0 and not (c.stop > 0 and c.repeat == scale):
            word += "/" + text(c.repeat, 1)
        words.append(word)
    return ",".join(words)
