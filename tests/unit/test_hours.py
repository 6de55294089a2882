"""Business hours as people write them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from beacon_cli import hours

OFFICE = "Mon-Fri 08:00-18:00 Europe/London"


def at(text: str, zone: str = "Europe/London") -> float:
    """A point in time by the clocks of a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("moment", "within"),
    [
        ("2026-11-20T08:00", True),  # a Friday
        ("2026-11-20T07:59", False),
        ("2026-11-20T17:59", True),
        ("2026-11-20T18:00", False),
        ("2026-11-21T12:00", False),  # a Saturday
        ("2026-07-03T08:00", True),  # in summer time
        ("2026-07-03T07:59", False),
    ],
)
def test_hours_hold_by_the_clocks_of_their_zone(moment: str, within: bool) -> None:  # noqa: FBT001 - a table
    """From the first minute to the last, on those days, in summer and in winter."""
    assert hours.parse(OFFICE).hold(at(moment)) is within


def test_hours_over_midnight_belong_to_the_day_on_which_they_begin() -> None:
    """`Fri 22:00-06:00` goes on until Saturday morning, and there is none on Friday morning."""
    night = hours.parse("Fri 22:00-06:00 Asia/Tokyo")
    assert night.hold(at("2026-11-20T23:00", "Asia/Tokyo"))
    assert night.hold(at("2026-11-21T05:59", "Asia/Tokyo"))
    assert not night.hold(at("2026-11-20T05:00", "Asia/Tokyo"))
    assert not night.hold(at("2026-11-21T23:00", "Asia/Tokyo"))


@pytest.mark.parametrize(
    ("text", "a_week"),
    [
        (OFFICE, 50.0),
        ("Sat-Mon 00:00-24:00 UTC", 72.0),
        ("Mon,Wed-Thu 22:00-01:30 UTC", 10.5),
        ("mon-sun  09:00-09:01  UTC", 7 / 60),
    ],
)
def test_a_week_has_so_many_hours(text: str, a_week: float) -> None:
    """The length of a week's hours, from which a price follows."""
    assert hours.parse(text).per_week == pytest.approx(a_week)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("always", "must be days, hours and a time zone"),
        ("Mon-Fri 8-18 UTC", "must be days, hours and a time zone"),
        ("Mon-Fri 08:00-18:00", "must be days, hours and a time zone"),
        ("Mon-Fry 08:00-18:00 UTC", "there is no day 'Fry'"),
        ("Mon 25:00-26:00 UTC", "there is no 25:00"),
        ("Mon 08:00-08:00 UTC", "no stretch of time"),
        ("Mon 24:00-08:00 UTC", "no stretch of time"),
        ("Mon 08:00-18:00 Europe/Atlantis", "no time zone 'Europe/Atlantis'"),
        ("Mon 08:00-18:00 Europe", "no time zone"),
        ("Mon 08:00-18:00 a//b", "no time zone"),
    ],
)
def test_what_is_no_hours_is_refused(text: str, said: str) -> None:
    """A text that breaks the form is named with what is wrong in it."""
    with pytest.raises(ValueError, match=said):
        hours.parse(text)
