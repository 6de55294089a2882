"""How long an endpoint wants to be left alone, in each form in which endpoints say it. Pure.

Must not know what comes of a wait, nor of the answer that it came with.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

Headers: TypeAlias = Mapping[str, str]
"""As `told` gives them: names in lower case."""

LONGEST_WAIT = 900.0
"""No provider makes a run wait longer than this for its next attempt, in seconds."""

_WAITS = (("retry-after-ms", 0.001), ("retry-after", 1.0))
_BUDGETS = ("-requests", "-tokens", "")
HEADERS = (
    *(name for name, _ in _WAITS),
    *(f"x-ratelimit-{what}{budget}" for budget in _BUDGETS for what in ("remaining", "reset")),
)
"""All that are read, in lower case."""
_UNTOLD = -1
"""What Azure says is left where it does not tell."""
_LONGEST_HEADER = 100
_FAR = 100 * 86400.0
"""Seconds beyond which it does not matter how much longer."""
_NEAR = 10 * 365.25 * 86400
"""Seconds from now within which a number is taken for a point in time since the epoch."""
_SPAN = re.compile(
    r"(?=.)(?:(\d{1,9})d)?(?:(\d{1,9}(?:\.\d+)?)h)?(?:(\d{1,9}(?:\.\d+)?)m)?(?:(\d{1,9}(?:\.\d+)?)s)?(?:(\d{1,9}(?:\.\d+)?)ms)?"
)
_UNITS = (86400.0, 3600.0, 60.0, 1.0, 0.001)


def wait(headers: Headers, now: float) -> float | None:
    """How many seconds to wait, `LONGEST_WAIT` at most: by `Retry-After`, or by the budgets reported as spent."""
    return _at_most(_wanted(headers, now))


def asked_for(said: Any, headers: Headers, now: float) -> float | None:
    """How many seconds a refusal asks to be left alone, however many; None where it does not say.

    By its headers, or as its body has it: Google's `details[].retryDelay`, OpenRouter's `metadata.headers`.
    """
    seconds = _wanted(headers, now)
    error = said.get("error") if seconds is None and type(said) is dict else None
    if type(error) is not dict:
        return seconds
    details = error.get("details")
    for each in details if type(details) is list else ():
        if type(each) is dict and type(delay := each.get("retryDelay")) is str:
            return _span(delay[:_LONGEST_HEADER])
    metadata = error.get("metadata")
    within = metadata.get("headers") if type(metadata) is dict else None
    if type(within) is not dict:
        return None
    return _wanted({str(name).lower(): str(value) for name, value in within.items()}, now)


def spent(headers: Headers, now: float) -> float | None:
    """How many seconds until a budget is filled again of which nothing is left; None where none is spent."""
    return _at_most(_spent(headers, now))


def span(text: str) -> float | None:
    """Seconds in `6m0s`, `120ms`, `1.5` or `2`, `LONGEST_WAIT` at most; None for anything else."""
    return _at_most(_span(text))


def in_words(seconds: float) -> str:
    """So many seconds, an hour or more as hours, less as minutes."""
    hours = seconds / 3600
    return f"{hours:.3g} h" if hours >= 1 else f"{seconds / 60:.0f} min"


def _at_most(seconds: float | None) -> float | None:
    return None if seconds is None else min(seconds, LONGEST_WAIT)


def _wanted(headers: Headers, now: float) -> float | None:
    for name, unit in _WAITS:
        seconds = _until(headers.get(name, ""), unit, headers, now)
        if seconds is not None:
            return seconds
    return _spent(headers, now)


def _spent(headers: Headers, now: float) -> float | None:
    waits = [
        reset
        for budget in _BUDGETS
        if _is_empty(headers.get(f"x-ratelimit-remaining{budget}"))
        and (reset := _until(headers.get(f"x-ratelimit-reset{budget}", ""), 1.0, headers, now)) is not None
    ]
    return max(waits, default=None)


def _span(text: str) -> float | None:
    match = _SPAN.fullmatch(text)
    if match:
        parts = zip(match.groups(), _UNITS, strict=True)
        return min(sum(float(part) * unit for part, unit in parts if part), _FAR)
    return _bounded(text, 1.0)


def _is_empty(left: str | None) -> bool:
    try:
        return left is not None and float(left) <= 0 and float(left) != _UNTOLD
    except ValueError:
        return False


def _until(text: str, unit: float, headers: Headers, now: float) -> float | None:
    """The seconds that a header says: as a number of `unit`, as a span, or as a point in time."""
    text = text.strip()[:_LONGEST_HEADER]
    try:
        number = float(text) * unit
    except ValueError:
        seconds = _span(text)
        return _moment(text, headers, now) if seconds is None else seconds
    for since in (number, number / 1000):  # the epoch's seconds or milliseconds, which no span can be
        if abs(since - now) < _NEAR:
            return min(max(0.0, since - now), _FAR)
    return _bounded(text, unit)


def _moment(text: str, headers: Headers, now: float) -> float | None:
    """The seconds until a date, by the endpoint's own clock where it shows it: ours may differ."""
    until = _date(text)
    if until is None:
        return None
    theirs = _date(headers.get("date", ""))
    return min(max(0.0, until - (now if theirs is None else theirs)), _FAR)


def _date(text: str) -> float | None:
    """A date of HTTP or of ISO 8601, in seconds since the epoch; in UTC where it does not say its zone."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            found = read(text)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return None


def _bounded(text: str, unit: float) -> float | None:
    try:
        seconds = float(text) * unit
    except ValueError:
        return None
    return min(seconds, _FAR) if seconds >= 0 and math.isfinite(seconds) else None
