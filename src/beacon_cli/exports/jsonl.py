"""JSON lines, as `results.jsonl` itself: the one form that keeps every character, lone surrogates too."""

from __future__ import annotations

from collections.abc import Iterator

from beacon_cli import rows
from beacon_cli.collected import Collection


def export(collection: Collection) -> Iterator[bytes]:
    """One line for each row."""
    return (rows.to_line(dict(row)) for row in collection.rows())
