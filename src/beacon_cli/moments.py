"""Points in time as records have them. Pure; reads no clock."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from functools import lru_cache

_LENGTH = re.compile(r"(\d{1,6}(?:\.\d{1,6})?) ?([smhdw])")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}


def utc(at: float) -> str:
    """A point in time, in seconds since the epoch, as ISO 8601 in UTC with milliseconds and `Z`.

    Raises:
        ValueError, OverflowError, OSError: it lies outside the years 1 to 9999.
    """
    fraction, second = math.modf(at)
    micros = round(fraction * 1e6)
    carried, micros = divmod(micros, 1_000_000)
    return f"{_second(int(second) + carried)}.{micros // 1000:03}Z"


@lru_cache(1024)  # thousands of rows, and of those who wait, share their seconds
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat()


def length(text: str) -> float:
    """A length of time as people write it, in seconds: `30s`, `90m`, `12h`, `5d`, `2w`.

    Raises:
        ValueError: it is none.
    """
    found = _LENGTH.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError("must be a length of time, as 12h, 5d or 2w")
    return float(found[1]) * _SECONDS[found[2]]
