"""Calendar expressions and timestamps against what systemd says, and properties of the search."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.units.calendar import parse_calendar
from unitd.units.calendarnext import next_elapse, next_wall, upcoming
from unitd.units.errors import ValueProblem
from unitd.units.localzone import local_zone
from unitd.units.timestamp import parse_timestamp
from unitd.units.zone import SECOND, UTC_ZONE, Zone, instants, moment_of, posix_zone

DATA = Path(__file__).parents[1] / "data"
BERLIN = local_zone({"TZ": "Europe/Berlin"})


def cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((DATA / name).read_text())["cases"]
    return found


def utc(usec: int) -> str:
    return moment_of(usec).strftime("%a %Y-%m-%d %H:%M:%S UTC")


@pytest.mark.parametrize("case", cases("parse-calendar.json"), ids=lambda c: str(c["in"]))
def test_the_recorded_table(case: dict[str, Any]) -> None:
    """Recorded with systemd-analyze calendar of systemd 252."""
    if case["rc"]:
        with pytest.raises(ValueProblem):
            parse_calendar(case["in"])
        return
    spec = parse_calendar(case["in"])
    assert str(spec) == case["normalized"]
    base = parse_timestamp(case["base"], 0, UTC_ZONE)
    assert ([utc(u) for u in upcoming(spec, base, UTC_ZONE, len(case["next"]))] or ["never"]) == case["next"]


def test_zones_and_changes_of_the_clock() -> None:
    """The same with local zones, around the changes to and from summer time."""
    for case in cases("calendar-zones.json"):
        local = local_zone({"TZ": case["tz"]})
        try:
            spec = parse_calendar(case["in"], local)
        except ValueProblem:
            assert case["rc"], case
            continue
        assert not case["rc"], case
        assert str(spec) == case["normalized"], case
        assert [utc(u) for u in upcoming(spec, parse_timestamp(case["base"], 0, UTC_ZONE), local, 3)] == case["next"], case


PART = st.sampled_from(["*", "1", "7", "3..9", "2/3", "5,6", "4..10/2"])
EXPRESSIONS = st.builds(
    lambda days, month, mark, day, hour, minute, second, zone: f"{days}*-{month}{mark}{day} {hour}:{minute}:{second}{zone}",
    st.sampled_from(["", "Mon ", "Sat,Sun ", "Tue..Thu "]), PART, st.sampled_from(["-", "~"]), st.sampled_from(["*", "1", "3..9", "28", "10/2"]),
    st.sampled_from(["*", "0", "2", "1..3", "0/5"]), st.sampled_from(["*", "30", "0/20", "5..9"]), st.sampled_from(["0", "*", "0/7.5", "59.25"]),
    st.sampled_from(["", " UTC", " America/New_York", " Australia/Lord_Howe"]),
)  # fmt: skip
INSTANTS = st.integers(0, 4_000_000_000 * SECOND)


@given(EXPRESSIONS, INSTANTS)
def test_the_next_time_is_later_and_the_first(text: str, now: int) -> None:
    """It is later than now, the clock shows what the expression asks for, and nothing between fits."""
    spec = parse_calendar(text, BERLIN)
    found = next_elapse(spec, now, BERLIN)
    if found is None:
        return
    assert found > now
    rules = spec.rules or BERLIN.rules
    wall = moment_of(found, rules).replace(tzinfo=None, fold=0)
    assert next_wall(spec, wall) == wall
    between = now + (found - now) // 2
    assert next_elapse(spec, between, BERLIN) == found or between == now or len(instants(wall, rules)) == 2
    assert next_elapse(spec, found - 1, BERLIN) == found


@given(EXPRESSIONS)
def test_the_normalised_form_means_the_same(text: str) -> None:
    spec = parse_calendar(text, BERLIN)
    again = parse_calendar(str(spec), BERLIN)
    assert str(again) == str(spec)
    assert upcoming(again, 1_800_000_000 * SECOND, BERLIN, 3) == upcoming(spec, 1_800_000_000 * SECOND, BERLIN, 3)


@given(st.text(alphabet="*-~:,./ @0123456789MonTueFri UTCdaily", max_size=40) | st.text(max_size=20))
def test_any_text_is_an_expression_or_a_problem(text: str) -> None:
    try:
        spec = parse_calendar(text, BERLIN)
    except ValueProblem as problem:
        assert problem.hint
        return
    next_elapse(spec, 1_800_000_000 * SECOND, BERLIN)


def test_microseconds() -> None:
    assert upcoming(parse_calendar("*:*:0/0.5"), 1_800_000_000 * SECOND, UTC_ZONE, 2) == [1_800_000_000_500_000, 1_800_000_001_000_000]


def test_an_abbreviation_of_the_local_zone_is_its_offset() -> None:
    """02:30 CEST is 00:30 UTC all the year; systemd stops elapsing while the other time is in force."""
    spec = parse_calendar("02:30 CEST", BERLIN)
    assert str(spec).endswith(" CEST")
    assert utc(next_elapse(spec, parse_timestamp("2027-01-01 UTC", 0, UTC_ZONE), BERLIN) or 0) == "Fri 2027-01-01 00:30:00 UTC"


def test_zones_from_the_environment(tmp_path: Path) -> None:
    assert (BERLIN.standard, BERLIN.summer, BERLIN.key) == ("CET", "CEST", "Europe/Berlin")
    assert local_zone({"TZ": ""}) == UTC_ZONE == local_zone({"TZ": "No/Where"}) == local_zone({}, str(tmp_path / "missing"))
    rule = local_zone({"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"})
    assert (rule.standard, rule.summer) == ("CET", "CEST")
    link = tmp_path / "localtime"
    link.symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    assert local_zone({}, str(link)).standard == "JST"
    assert posix_zone("not a rule") is None
    assert posix_zone("<\n>") is None


NOW = 1_353_669_133 * SECOND  # Fri 2012-11-23 11:12:13 UTC


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2012-11-23 11:12:13"),
        ("today", "2012-11-23 00:00:00"),
        ("yesterday", "2012-11-22 00:00:00"),
        ("tomorrow", "2012-11-24 00:00:00"),
        ("10 min ago", "2012-11-23 11:02:13"),
        ("1h 30min left", "2012-11-23 12:42:13"),
        ("+5min", "2012-11-23 11:17:13"),
        ("-5s", "2012-11-23 11:12:08"),
        ("@1395716396", "2014-03-25 02:59:56"),
        ("2012-11-23", "2012-11-23 00:00:00"),
        ("12-11-23", "2012-11-23 00:00:00"),
        ("70-01-02", "1970-01-02 00:00:00"),
        ("2012-11-23 11:12", "2012-11-23 11:12:00"),
        ("Fri 2012-11-23 11:12:13", "2012-11-23 11:12:13"),
        ("11:12:13", "2012-11-23 11:12:13"),
        ("11:12", "2012-11-23 11:12:00"),
        ("Fri 2012-11-23 11:12:13 UTC", "2012-11-23 11:12:13"),
        ("2012-11-23 11:12:13 Europe/Berlin", "2012-11-23 10:12:13"),
        ("2012-11-23T11:12:13Z", "2012-11-23 11:12:13"),
        ("2012-11-23T11:12:13+02:00", "2012-11-23 09:12:13"),
        ("2012-11-23 11:12:60", "2012-11-23 11:13:00"),
    ],
)
def test_timestamps(text: str, expected: str) -> None:
    """systemd.time(7), PARSING TIMESTAMPS."""
    assert utc(parse_timestamp(text, NOW, UTC_ZONE))[4:-4] == expected


def test_timestamps_of_the_local_zone() -> None:
    assert utc(parse_timestamp("2012-07-01 12:00", NOW, BERLIN)) == "Sun 2012-07-01 10:00:00 UTC"
    assert utc(parse_timestamp("2012-07-01 12:00 CEST", NOW, BERLIN)) == "Sun 2012-07-01 10:00:00 UTC"
    assert utc(parse_timestamp("2012-03-25 02:30", NOW, BERLIN)) == "Sun 2012-03-25 01:30:00 UTC"  # in the gap: the clock as it was before
    assert utc(parse_timestamp("today", NOW, BERLIN)) == "Thu 2012-11-22 23:00:00 UTC"
    assert parse_timestamp("2012-11-23 11:12:13.1234567", NOW, UTC_ZONE) == NOW + 123457


@pytest.mark.parametrize("text", ["", "foo", "Thu 2012-11-23", "24:00", "11:60", "2012-13-01", "2012-02-30", "+", "@", "@infinity", "+infinity", "ago", "1969-12-31", "now UTC"])
def test_what_is_no_timestamp(text: str) -> None:
    with pytest.raises(ValueProblem):
        parse_timestamp(text, NOW, UTC_ZONE)


@given(st.text(max_size=30) | st.text(alphabet="0123456789-:. @+TZago", max_size=30))
def test_any_text_is_a_timestamp_or_a_problem(text: str) -> None:
    try:
        assert parse_timestamp(text, NOW, BERLIN) >= 0
    except ValueProblem as problem:
        assert problem.hint


@given(st.integers(0, 4_000_000_000), st.sampled_from([UTC_ZONE, BERLIN, local_zone({"TZ": "America/New_York"})]))
def test_a_printed_time_is_read_back(seconds: int, zone: Zone) -> None:
    wall = moment_of(seconds * SECOND, zone.rules)
    usec = parse_timestamp(wall.strftime("%Y-%m-%d %H:%M:%S"), NOW, zone)
    assert usec in instants(wall.replace(tzinfo=None, fold=0), zone.rules)
    assert abs(datetime.fromtimestamp(usec / SECOND, tz=zone.rules) - wall) <= timedelta(hours=1)
