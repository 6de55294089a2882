"""What every format of `beacon export` keeps: any rows, none, a row of a megabyte, thousands; always the same."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from importlib import import_module

import pytest
from hypothesis import given, settings
from tests.support.rows import ROWS, collection, failed, hostile, joined, row

from beacon_cli.collected import Collection
from beacon_cli.model import JsonObject
from beacon_cli.operations.exporting import _MODULES, Exporter, Format

FORMATS = pytest.mark.parametrize("form", list(Format))
TEXT = pytest.mark.parametrize("form", [form for form in Format if form is not Format.PARQUET])


def exporter(form: Format) -> Exporter:
    """The exporter of a format."""
    found: Exporter = import_module(f"beacon_cli.exports.{_MODULES[form]}").export
    return found


def exported(form: Format, given: Collection) -> bytes:
    """The whole export."""
    return joined(exporter(form)(given))


@TEXT
def test_hostile_text_is_written_as_text(form: Format) -> None:
    """Whatever answers, names and errors hold, the file is UTF-8 without a control character or half a one."""
    text = exported(form, collection(*hostile())).decode()
    assert re.findall("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", text) == []


@FORMATS
@settings(max_examples=60)
@given(rows=ROWS)
def test_any_rows_can_be_exported_and_give_the_same_bytes(form: Format, rows: list[JsonObject]) -> None:
    """No text makes an export fail, and the same rows give the same bytes."""
    unique = [{**each, "repeat": number} for number, each in enumerate(rows, 1)]
    assert exported(form, collection(*unique)) == exported(form, collection(*unique))


@FORMATS
def test_no_answers_are_a_file_too(form: Format) -> None:
    """A run without answers gives an export without answers, and one without any row a well-formed file."""
    assert b"no route" in exported(form, collection(failed())) or form is Format.PARQUET
    empty = exported(form, collection())
    assert empty == b"" if form is Format.JSONL else len(empty) > 10


@FORMATS
def test_a_rehearsal_says_so(form: Format) -> None:
    """What is made up can be told from a finding in every format."""
    assert b"rehearsal" in exported(form, collection(row(rehearsal=True), rehearsal=True)).lower()
    if form in {Format.MARKDOWN, Format.JUNIT}:
        assert b"made up" in exported(form, collection(row(), rehearsal=True))
        assert b"made up" not in exported(form, collection(row()))


@TEXT
def test_scripts_of_all_directions_stay(form: Format) -> None:
    """Arabic, Persian with its joiners, Hebrew and CJK stand there as they are, or as JSON's escapes."""
    said = "مرحبا می\u200cخواهم שלום 你好 日本語"  # noqa: RUF001 - meant
    found = exported(form, collection(row(response=said, question_id=said)))
    escaped = said.encode("ascii", "backslashreplace").replace(b"\\x", b"\\u00")
    assert said.encode() in found or escaped in found


@FORMATS
def test_an_answer_of_a_megabyte(form: Format) -> None:
    """A huge answer is exported, in time that grows with its length alone, whatever it is made of."""
    for piece in ("a", "\n", " ", "\t=", ";-", "|`<", "\x00", "\ud800", "字"):
        assert exported(form, collection(row(response=piece * (1_000_000 // len(piece)))))


@pytest.mark.parametrize("form", [Format.JSONL, Format.CSV, Format.JSON, Format.PARQUET])
def test_thousands_of_answers_take_no_more_memory_than_a_few(form: Format) -> None:
    """50 MB of answers pass through a few megabytes of memory."""

    def rows() -> Iterator[JsonObject]:
        for number in range(3_000):
            yield row(execution_id=str(number), repeat=number + 1, response=f"{number} " * 4_000)

    export = exporter(form)
    tracemalloc.start()
    try:
        size = sum(len(chunk) for chunk in export(Collection(title="large", rows=rows)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 50_000_000 or form is Format.PARQUET
    assert peak < 24_000_000
