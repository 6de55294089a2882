from __future__ import annotations

import io
import json
from datetime import UTC, datetime

from pyarrow import parquet
from tests.support.rows import collection, failed, joined, row

from beacon_cli.collected import FIELDS
from beacon_cli.exports.parquet import COLUMNS, export


def test_the_schema_is_the_documented_one() -> None:
    """A file has the columns of `COLUMNS` with their types, whatever the rows; its metadata says what is known."""
    for rows in ([], [row(), failed(repeat=2, started_at=None, seconds=None)]):
        table = parquet.read_table(io.BytesIO(joined(export(collection(*rows, rehearsal=True)))))
        assert {field.name: str(field.type) for field in table.schema} == dict(COLUMNS)
        assert json.loads(table.schema.metadata[b"beacon"])["rehearsal"] is True
        assert table.num_rows == len(rows)
    assert set(COLUMNS) == {*FIELDS, "error_kind", "error_message"} - {"error"}


def test_values_keep_their_types() -> None:
    """Times are times in UTC, whole seconds a number, provenance JSON; half characters are written out."""
    odd = row(seconds=2, started_at="2026-11-21T20:37:41+01:00", cut_from=2**40, response="a\ud800\0b")
    table = parquet.read_table(io.BytesIO(joined(export(collection(odd, failed(repeat=2))))))
    answer, failure = table.to_pylist()
    assert answer["started_at"] == datetime(2026, 11, 21, 19, 37, 41, tzinfo=UTC)
    assert answer["finished_at"] == datetime(2026, 11, 21, 19, 37, 43, 614_000, tzinfo=UTC)
    assert (answer["seconds"], answer["cut_from"], answer["response"]) == (2.0, 2**40, "a\\ud800\\x00b")
    assert json.loads(answer["provenance"]) == {"gpu": "T4"}
    assert (failure["error_kind"], failure["error_message"], failure["response"]) == (
        "connection",
        "no route",
        None,
    )


def test_large_answers_go_into_groups_of_their_own() -> None:
    """A row group ends before it holds more text than fits in memory with ease."""
    rows = [row(repeat=number, response="x" * 1_000_000) for number in range(1, 10)]
    assert parquet.ParquetFile(io.BytesIO(joined(export(collection(*rows))))).num_row_groups == 3
