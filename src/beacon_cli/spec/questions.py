"""Questions from a file of their own: CSV, JSONL or YAML, each to a document of the same form.

Must not know the job. What a row may hold is `QuestionPart`'s to say.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from beacon_cli.errors import SpecError
from beacon_cli.names import printable, quoted, suggestion
from beacon_cli.spec import source
from beacon_cli.spec.source import Block, Document, Items, Place, Plain, fault

MOST = 100_000
"""Questions in a file."""

LONGEST_ROW = 1_000_000
"""Characters of a line of JSON."""
_MOST_KEYS = 20
"""More than these in a row are no slips of the pen, and not worth a fault each."""
_COLUMNS = ("id", "category", "text")
_NEEDED = ("id", "text")
_SAME = {name: name for name in _COLUMNS}
"""One text for each column, whatever rows there are."""


class _Alike(dict[str, tuple[Place, Place]]):
    """The places of a row's keys and values: all are in its line. A fifth of the memory of one for each key."""

    __slots__ = ("_both",)

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._both = (place, place)

    def __missing__(self, key: str) -> tuple[Place, Place]:
        return self._both


def kinds() -> str:
    """The endings of the files that can be read."""
    return ", ".join(_FORMS)


def is_known(path: Path) -> bool:
    """Whether the file's ending says how to read it."""
    return path.suffix.lower() in _FORMS


def parse(data: bytes, path: Path) -> Document:
    """The rows of a file as a document whose tree is a list of mappings.

    Raises:
        SpecError: the file is not of the form that its ending says.
    """
    file = str(path)
    return _FORMS[path.suffix.lower()](source.decode(data, file), file)


def _csv(text: str, file: str) -> Document:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    items = Items()
    columns: list[str] | None = None
    last = 0
    try:
        for row in rows:
            line, last = last + 1, rows.line_num
            if not any(cell.strip() for cell in row):
                continue
            if columns is None:
                columns = _header(row, file, line)
                continue
            if len(row) != len(columns):
                message = (
                    f"has {len(row)} cells, the header {len(columns)}; a text with a comma needs quotes around it"
                )
                _refuse(file, line, message)
            cells: dict[str, str | None] = dict(zip(columns, row, strict=True))
            cells["category"] = cells.get("category") or None
            _add(items, cells.items(), file, line)
    except csv.Error as error:
        _refuse(file, last + 1, f"is not valid CSV: {error}")
    return Document(file=file, tree=items, at=(1, 1))


def _header(row: list[str], file: str, line: int) -> list[str]:
    columns = [cell.strip() for cell in row]
    for name in columns:
        if name not in _COLUMNS:
            _refuse(file, line, f"unknown column {quoted(name)}{suggestion(name, _COLUMNS)}")
        if columns.count(name) > 1:
            _refuse(file, line, f"the column {quoted(name)} is there twice")
    for name in _NEEDED:
        if name not in columns:
            _refuse(file, line, f"the header lacks the column {quoted(name)}")
    return columns


def _jsonl(text: str, file: str) -> Document:
    items = Items()
    for line, row in enumerate(text.split("\n"), 1):
        if not row.strip():
            continue
        if len(row) > LONGEST_ROW:
            _refuse(file, line, f"is longer than {LONGEST_ROW:,} characters; each line holds one question")
        try:
            value = json.loads(
                row, object_pairs_hook=list, parse_int=Plain, parse_float=Plain, parse_constant=Plain
            )
        except json.JSONDecodeError as error:
            raise SpecError((fault(file, (line, error.colno), f"is not valid JSON: {error.msg}"),)) from None
        except RecursionError:
            _refuse(file, line, "nested too deeply")
        if not row.lstrip().startswith("{"):
            _refuse(file, line, 'each line must be an object: {"id": …, "text": …}')
        _add(items, value, file, line)
    return Document(file=file, tree=items, at=(1, 1))


def _add(items: Items, pairs: Iterable[tuple[str, Any]], file: str, line: int) -> None:
    block, place = Block(), (line, 1)
    block.at = _Alike(place)
    for key, value in pairs:
        if key in block:
            _refuse(file, line, f"the key {quoted(key)} is given twice")
        if len(block) == _MOST_KEYS:
            _refuse(file, line, f"has more than {_MOST_KEYS} keys; a question has {', '.join(_COLUMNS)}")
        block[_SAME.get(key, key)] = value
    if len(items) >= MOST:
        _refuse(file, line, f"more than {MOST:,} questions")
    items.append(block)
    items.at.append(place)


def _refuse(file: str, line: int, message: str) -> NoReturn:
    raise SpecError((fault(file, (line, 1), printable(message, most=300)),))


_FORMS: dict[str, Callable[[str, str], Document]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".yaml": source.parse,
    ".yml": source.parse,
}
