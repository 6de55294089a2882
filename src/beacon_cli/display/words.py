"""How times and numbers are said, and the signs that pictures are drawn with. Pure; knows nothing of runs."""

from __future__ import annotations

import msgspec

_LONG = 10
_MINUTE = 60
_ROUGH = 100
_HOUR = 3600
_DUST = 1e-6


def clock(seconds: float) -> str:
    """A length of time as a clock shows it: `0:07`, `12:05`, `1:02:03`. Parts of a second are left out.

    What a sum of floats falls short of a whole second is none: versions of Python add up differently.
    """
    whole = max(0, int(seconds + _DUST))
    hours, rest = divmod(whole, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def brief(seconds: float) -> str:
    """A length of time that is watched: `0.4s`, from ten seconds on `41s`, from a minute on as `clock`."""
    if seconds >= _MINUTE:
        return clock(seconds)
    return f"{int(seconds)}s" if seconds >= _LONG else f"{max(0, int(10 * seconds)) / 10}s"


def rough(seconds: float) -> str:
    """A length of time that is waited out, in three cells: `7s`, `72s`, from a hundred seconds on `2m`."""
    whole = max(0, int(seconds))
    return f"{whole}s" if whole < _ROUGH else f"{whole // _MINUTE}m"


def precise(seconds: float) -> str:
    """A length of time that was measured: `0.04 s`, `3.9 s`, from a minute on as `clock`."""
    if seconds >= _MINUTE:
        return clock(seconds)
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds:.2f} s"


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 retry`, `2 retries`: the number with its noun; `many` where an s does not do."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


class Signs(msgspec.Struct, frozen=True, kw_only=True):
    """The signs of a picture, each one cell wide. A word stands beside each: none is needed to understand."""

    queued: str
    running: str
    finished: str
    given_up: str
    done: str
    half: str
    rest: str
    busy: str
    free: str
    idle: str
    dot: str
    """Stands between two things in a line."""


UNICODE = Signs(
    queued="○",
    running="▶",
    finished="✓",
    given_up="✗",
    done="━",
    half="╸",
    rest="─",
    busy="■",
    free="□",
    idle="·",
    dot="·",
)

ASCII = Signs(
    queued="o",
    running=">",
    finished="+",
    given_up="x",
    done="=",
    half="-",
    rest=".",
    busy="#",
    free=".",
    idle=".",
    dot="|",
)
"""For terminals that are not set to UTF-8."""
