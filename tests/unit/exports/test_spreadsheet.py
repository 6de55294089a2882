from __future__ import annotations

import csv
import io
import re
import time

import pytest
from hypothesis import given
from tests.support.hostile import TEXTS
from tests.support.rows import collection, failed, joined, row

from beacon_cli.collected import FIELDS
from beacon_cli.exports.spreadsheet import COLUMNS, export, harmless
from beacon_cli.model import JsonObject

LIVE = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")  # noqa: RUF001 - meant


def read(*rows: JsonObject) -> list[dict[str, str]]:
    """The table, as a program reads it."""
    text = joined(export(collection(*rows))).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_cell_for_each_field() -> None:
    """Every field has its column, the error two; null is empty, true and false are words, provenance is JSON."""
    (answer, failure) = read(row(response='He said "4", or\nso;'), failed(repeat=2))
    assert set(COLUMNS) == {*FIELDS, "error_kind", "error_message"} - {"error"}
    assert (answer["response"], answer["seconds"], answer["cold_start"]) == (
        'He said "4", or\nso;',
        "2.614",
        "false",
    )
    assert (answer["context"], answer["error_kind"], answer["provenance"]) == ("", "", '{"gpu":"T4"}')
    assert (failure["error_kind"], failure["error_message"], failure["response"]) == ("connection", "no route", "")


def test_the_form_of_the_file() -> None:
    """A byte order mark, headings, CR LF after each line."""
    data = joined(export(collection(row())))
    assert data.startswith(b"\xef\xbb\xbfrun_id,")
    assert data.endswith(b"\r\n")
    assert data.count(b"\r\n") == 2


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("-1", "'-1"),
        ("+1", "'+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝1", "'＝1"),  # noqa: RUF001 - meant
        ("  =1", "'  =1"),
        ("\u200b\ufeff=1", "'\u200b\ufeff=1"),
        ("\r\n=1", "'\n'=1"),
        ("\t1", "'\t1"),
        ("\n1", "'\n1"),
        ("a;=1", "a;'=1"),
        ("a\n@b", "a\n'@b"),
        ("a\t -1", "a\t' -1"),
        ("half \ud800 a NUL \0 a return \r.", "half \\ud800 a NUL \\x00 a return \\r."),
        ("- one\n- two", "'- one\n- two"),
        ("Two things:\n- one\n+ two", "Two things:\n- one\n+ two"),
        ("2 - 1 = 1; a@b", "2 - 1 = 1; a@b"),
        ("", ""),
    ],
)
def test_no_cell_is_a_formula(text: str, cell: str) -> None:
    """An apostrophe stands wherever a spreadsheet would begin to read a formula, and nowhere else."""
    assert harmless(text) == cell
    assert read(row(response=text))[0]["response"] == cell


@given(text=TEXTS)
def test_no_text_begins_a_formula(text: str) -> None:
    """No cell of any text does, blanks before it or not; nor where the separator is a semicolon or a tab."""
    cell = harmless(text)
    assert not cell.lstrip().startswith(LIVE)
    for part in re.split(r"[;\t\n]", cell):
        assert not part.strip().startswith(("=", "@"))
        assert not re.match(r"\s*[+-](?! |$)", part)


def test_a_cell_takes_time_by_its_length_alone() -> None:
    """A megabyte of what the rule looks for is no slower than a megabyte of anything else, by far."""
    began = time.perf_counter()
    for piece in ("\n", " ", "\u200b", ";", "\t ", "=", "\n "):
        harmless(piece * 1_000_000)
    assert time.perf_counter() - began < 20  # a square of a million would take hours
