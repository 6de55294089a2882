"""Apache Parquet, through pyarrow: a column for each field, for pandas, Polars, DuckDB and R."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from beacon_cli import rows
from beacon_cli.collected import FIELDS, Collection, Row
from beacon_cli.exports.visible import visible

COLUMNS: Mapping[str, str] = {
    "run_id": "string",
    "job_id": "string",
    "execution_id": "string",
    "region": "string",
    "model": "string",
    "question_id": "string",
    "context": "string",
    "repeat": "int32",
    "status": "string",
    "response": "string",
    "error_kind": "string",
    "error_message": "string",
    "attempts": "int32",
    "call_id": "string",
    "container": "string",
    "cold_start": "bool",
    "queued_at": "timestamp[ms, tz=UTC]",
    "started_at": "timestamp[ms, tz=UTC]",
    "finished_at": "timestamp[ms, tz=UTC]",
    "seconds": "double",
    "provenance": "string",
    "cut_from": "int64",
    "rehearsal": "bool",
}
"""Each column and its Arrow type, in their order."""

_TYPES = {
    "string": pa.string(),
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "timestamp[ms, tz=UTC]": pa.timestamp("ms", tz="UTC"),
}
_TIMES = ("queued_at", "started_at", "finished_at")
_ROWS = 5_000
_CHARACTERS = 4_000_000
"""A row group holds no more than so many rows, or so much text and one answer."""


def export(collection: Collection) -> Iterator[bytes]:
    """The file, a row group at a time; the schema's metadata `beacon` says what is known of the run, as JSON.

    The same rows give the same bytes with the same version of pyarrow.
    """
    about = json.dumps(collection.about())
    schema = pa.schema([(name, _TYPES[kind]) for name, kind in COLUMNS.items()], metadata={"beacon": about})
    sink = _Sink()
    with parquet.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        for group in _groups(collection):
            writer.write_batch(pa.RecordBatch.from_pylist([_cells(row) for row in group], schema=schema))
            yield sink.taken()
    yield sink.taken()


class _Sink:
    """What pyarrow writes to; gives the bytes on, so that no more than a row group is in memory."""

    def __init__(self) -> None:
        self.closed = False
        self._bytes = bytearray()

    def write(self, data: bytes) -> int:
        self._bytes += data
        return len(data)

    def flush(self) -> None:
        """Everything is in place at once."""

    def close(self) -> None:
        self.closed = True

    def taken(self) -> bytes:
        data = bytes(self._bytes)
        self._bytes.clear()
        return data


def _groups(collection: Collection) -> Iterator[list[Row]]:
    group: list[Row] = []
    characters = 0
    for row in collection.rows():
        group.append(row)
        characters += len(row["response"] or "")
        if len(group) >= _ROWS or characters >= _CHARACTERS:
            yield group
            group, characters = [], 0
    if group:
        yield group


def _cells(row: Row) -> dict[str, Any]:
    error = row["error"] or {}
    cells = {field: row[field] for field in FIELDS if field in COLUMNS}
    cells |= {"error_kind": error.get("kind"), "error_message": error.get("message")}
    cells |= {field: _time(row[field]) for field in _TIMES}
    cells["provenance"] = rows.to_line(dict(row["provenance"])).decode().rstrip()
    return {name: visible(value) if isinstance(value, str) else value for name, value in cells.items()}


def _time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value).astimezone(UTC)
