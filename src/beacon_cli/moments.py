"""Points in time as records have them. Pure; reads no clock."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(at: float) -> str:
    """A point in time, in seconds since the epoch, as ISO 8601 in UTC with milliseconds and `Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
