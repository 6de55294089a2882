"""A table for spreadsheets (RFC 4180), safe to open: no cell of it is a formula.

Begins with a byte order mark: without it Excel reads UTF-8 as the system's old code page, and every script but
Latin is garbled. A program reads it with the encoding `utf-8-sig`, or better takes `jsonl` or `parquet`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

from beacon_cli import rows
from beacon_cli.collected import FIELDS, Collection, Row
from beacon_cli.exports.visible import visible

_BOM = "\ufeff"
_BLANK = r"[\s\u200b-\u200f\u2060\ufeff\xad]"
_LIVE_AT_FIRST = re.compile(rf"[\t\n]|{_BLANK}*[=+\-@＝＋－＠]")  # noqa: RUF001 - East Asian editions take them
_LIVE_WITHIN = re.compile(
    rf"[;\t\n](?=(?:(?![;\t\n]){_BLANK})*(?:[=@＝＠]|[+\-＋－](?![ \n])))"  # noqa: RUF001 - the same
)
"""Where the system's separator is no comma, a cell ends earlier than it should and another begins in the text.

A sign and a blank there are an item of a list, which every other answer has.
"""

COLUMNS = tuple(
    column for field in FIELDS for column in (("error_kind", "error_message") if field == "error" else (field,))
)


def export(collection: Collection) -> Iterator[bytes]:
    """A line of headings and one line for each row, ended by CR LF."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    buffer.write(_BOM)
    writer.writerow(COLUMNS)
    for row in collection.rows():
        yield _taken(buffer)
        writer.writerow(_cells(row))
    yield _taken(buffer)


def harmless(text: str) -> str:
    """`text` with an apostrophe wherever a spreadsheet would begin to read a formula; hidden characters shown."""
    shown = _LIVE_WITHIN.sub(r"\g<0>'", visible(text))
    return f"'{shown}" if _LIVE_AT_FIRST.match(shown) else shown


def _cells(row: Row) -> Iterator[Any]:
    for field in FIELDS:
        value = row[field]
        if field == "error":
            error = value or {}
            yield from (harmless(error.get(key) or "") for key in ("kind", "message"))
        elif field == "provenance":
            yield harmless(rows.to_line(dict(value)).decode().rstrip())
        elif isinstance(value, str):
            yield harmless(value)
        elif isinstance(value, bool):
            yield str(value).lower()
        else:
            yield value


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()
