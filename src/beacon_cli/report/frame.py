"""What a report says beside its findings: when the runs began, and how often readings are right. Records only."""

from __future__ import annotations

import msgspec

from beacon_cli.evidence.accuracy import Measured


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One run or file that the answers are from; None is what a file from elsewhere does not tell.

    `name` is its group where runs are compared; `began_at` is ISO 8601 in UTC, `beacon` the version that asked.
    """

    name: str
    began_at: str | None = None
    beacon: str | None = None


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """The sources in the order of the command line, and the shipped accuracy of readings.

    `rest` says where whole answers are, for pages that hold a part of them.
    """

    sources: tuple[Source, ...]
    accuracy: Measured
    rest: str
