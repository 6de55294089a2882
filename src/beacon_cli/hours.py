"""Business hours as people write them: `Mon-Fri 08:00-18:00 Europe/London`. Pure; reads no clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from beacon_cli.names import quoted

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FORM = re.compile(
    r"(?P<days>[A-Za-z]{3}(?:-[A-Za-z]{3})?(?:,[A-Za-z]{3}(?:-[A-Za-z]{3})?)*)"
    r" (?P<start>[0-2][0-9]:[0-5][0-9])-(?P<end>[0-2][0-9]:[0-5][0-9])"
    r" (?P<zone>[A-Za-z][A-Za-z0-9_+/-]{0,60})"
)
_DAY = 24 * 60


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """On these `days` (0 is Monday), from minute `start` of the day up to minute `end`, by the clocks of `zone`.

    An `end` of 1440 is midnight; one before `start` is on the day after.
    """

    days: frozenset[int]
    start: int
    end: int
    zone: str

    def hold(self, at: float) -> bool:
        """Whether this point in time, in seconds since the epoch, is within."""
        local = datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(self.zone))
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        yesterday = (day - 1) % len(DAYS)
        return (day in self.days and minute >= self.start) or (yesterday in self.days and minute < self.end)

    @property
    def per_week(self) -> float:
        """How many hours of a week are within."""
        return len(self.days) * ((self.end - self.start) % _DAY or _DAY) / 60


def parse(text: str) -> Hours:
    """The hours that a text means: days by their first three letters, times of 24 hours, a zone of the IANA's.

    Raises:
        ValueError: it breaks the form, or names a zone that this machine does not know.
    """
    found = _FORM.fullmatch(" ".join(text.split()))
    if found is None:
        raise ValueError('must be days, hours and a time zone, as "Mon-Fri 08:00-18:00 Europe/London"')
    start, end = _minute(found["start"]), _minute(found["end"])
    if start in {end, _DAY}:
        raise ValueError(f"{found['start']}-{found['end']} is no stretch of time")
    try:
        ZoneInfo(found["zone"])
    except (KeyError, OSError, ValueError):  # not there, no file, no name of one
        raise ValueError(f"there is no time zone {quoted(found['zone'])}") from None
    return Hours(days=frozenset(_days(found["days"])), start=start, end=end, zone=found["zone"])


def _minute(text: str) -> int:
    hours, minutes = map(int, text.split(":"))
    if hours * 60 + minutes > _DAY:
        raise ValueError(f"there is no {text} o'clock")
    return hours * 60 + minutes


def _days(text: str) -> list[int]:
    days: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        begin = _day(first)
        length = (_day(last) - begin) % len(DAYS) if last else 0
        days += [(begin + step) % len(DAYS) for step in range(length + 1)]
    return days


def _day(name: str) -> int:
    if name.capitalize() not in DAYS:
        raise ValueError(f"there is no day {quoted(name)}: they are {', '.join(DAYS)}")
    return DAYS.index(name.capitalize())
