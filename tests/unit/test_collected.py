from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.hostile import TEXTS
from tests.support.jobs import spec as sample
from tests.support.rows import ROW, failed, row

from beacon_cli import collected, rows
from beacon_cli.collected import Row, gathered, read, said
from beacon_cli.errors import SpecError
from beacon_cli.model import JsonObject
from beacon_cli.plan import Plan
from beacon_cli.results import Standings


def lines(*records: Any) -> list[bytes]:
    """A file with these records, one a line."""
    return [json.dumps(record).encode() + b"\n" for record in records]


def fault(*given_lines: bytes) -> str:
    """What is said of a file that is wrong."""
    with pytest.raises(SpecError) as caught:
        list(read(given_lines, "answers.jsonl"))
    return str(caught.value)


def test_the_form_is_that_of_the_rows() -> None:
    """The fields that are read are those that beacon writes, in the same order."""
    written = rows.row(Standings(), next(Plan(sample()).executions()), None)
    assert tuple(written) == collected.FIELDS


def test_a_row_comes_back_as_it_was_written() -> None:
    """What beacon writes is read without a change, an answer and every kind of failure alike."""
    written = [row(), *(failed(status=each, model=each) for each in ("failed", "skipped", "cancelled"))]
    assert list(read([rows.to_line(each) for each in written], "f")) == written


def test_answers_collected_elsewhere() -> None:
    """Four fields and the answer are enough; what is left out is null, what is unknown stays behind the rest."""
    least = {
        "region": "us",
        "model": "m",
        "question_id": "q",
        "status": "succeeded",
        "response": "Yes.",
        "mine": [1],
    }
    (found,) = read([b"\xef\xbb\xbf" + lines(least)[0].rstrip(), b"\n"], "f")
    assert list(found) == [*collected.FIELDS, "mine"]
    assert (found["repeat"], found["attempts"], found["provenance"], found["mine"]) == (1, 0, {}, [1])
    assert (found["response"], found["run_id"], found["rehearsal"]) == ("Yes.", None, None)


@pytest.mark.parametrize(
    ("line", "said_of_it"),
    [
        (b"{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"1" * 5000, "no JSON"),
        (b"\xff{}", "no UTF-8"),
        (b"[1]", "a list where a JSON object has to be"),
        (b"{}", "region: missing"),
        *(
            (json.dumps(row(**{field: value})).encode(), said_of_it)
            for field, value, said_of_it in [
                ("region", "", "region: has to be a text that is not empty, not ''"),
                ("model", 3, "model: has to be a text that is not empty, not '3'"),
                ("repeat", True, "repeat: has to be a whole number from 1, not 'true'"),
                ("repeat", 0, "repeat: has to be a whole number from 1, not '0'"),
                ("repeat", 2**31, "repeat: has to be"),
                ("status", "ok", "status: has to be one of succeeded, failed, skipped, cancelled, not 'ok'"),
                ("status", [], "status: has to be"),
                ("status", "failed", "response: has to be null where the status is failed"),
                ("response", None, "response: has to be a text"),
                ("error", {"kind": 1}, "error: has to be an object with the texts kind and message"),
                ("started_at", "yesterday", "started_at: has to be a time"),
                ("started_at", 12, "started_at: has to be a time"),
                ("started_at", "0001-01-01T00:00:00+14:00", "started_at: has to be a time"),
                ("seconds", -1, "seconds: has to be a number of seconds from 0"),
                ("seconds", "1", "seconds: has to be a number of seconds from 0"),
                ("cut_from", 2**63, "cut_from: has to be"),
                ("cold_start", 1, "cold_start: has to be true, false or null, not '1'"),
                ("provenance", None, "provenance: has to be an object"),
                ("run_id", 7, "run_id: has to be a text or null"),
            ]
        ),
    ],
)
def test_a_bad_line_is_named(line: bytes, said_of_it: str) -> None:
    """What is wrong is said with the file, the line's number, the field and what would be right."""
    message = fault(*lines(row(question_id="other")), line + b"\n")
    assert message.startswith("answers.jsonl:2: ")
    assert said_of_it in message


def test_provenance_of_any_depth_is_no_danger() -> None:
    """A hundred layers are refused with the line's number; so is a line of any length."""
    deep: JsonObject = {}
    for _ in range(150):
        deep = {"a": [deep]}
    assert "nested no deeper" in fault(*lines(row(provenance=deep)))
    assert "longer than" in fault(b" " * 10 + b"x" * (collected.LONGEST_LINE + 1))


def test_an_execution_has_one_line() -> None:
    """The same cell twice is a fault that names both lines; in another repeat, context or run it is another."""
    others = [row(repeat=2), row(context="c"), row(run_id="r2")]
    assert "answers.jsonl:5: the same execution as in line 1" in fault(*lines(row(), *others, row(response="No.")))


def test_numbers_that_json_does_not_have() -> None:
    """`NaN`, which many programs write, is null here as in beacon's own results."""
    (found,) = read([json.dumps(row(seconds=float("nan"), provenance={"a": float("inf")})).encode()], "f")
    assert (found["seconds"], found["provenance"]) == (None, {"a": None})


@given(line=st.binary(max_size=80) | st.builds(lambda text: json.dumps(text).encode(), TEXTS))
def test_any_line_is_a_row_or_a_fault(line: bytes) -> None:
    """Whatever a file holds, nothing but a named fault comes of it."""
    try:
        assert list(read([line], "f")) == []
    except SpecError as error:
        assert str(error).startswith("f:1: ")  # noqa: PT017 - both ends are right


@given(
    field=st.sampled_from(collected.FIELDS), value=st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
)
def test_any_value_is_taken_or_a_fault(field: str, value: Any) -> None:
    """Whatever a field holds, the row is either read and can be written again, or its line is named."""
    try:
        (found,) = read(lines({**ROW, field: value}), "f")
    except SpecError as error:
        assert str(error).startswith(f"f:1: {field}") or field == "status"  # noqa: PT017 - both ends are right
    else:
        assert json.loads(rows.to_line(dict(found)))["region"] == found["region"]


def source(*records: JsonObject) -> Callable[[], Iterator[Row]]:
    """Rows that can be gone through again."""
    return lambda: read(lines(*records), "answers.jsonl")


def test_what_rows_have_in_common() -> None:
    """A file of one run has its id and its job's; of two, none. One made-up answer makes it all a rehearsal."""
    one = gathered(source(row(), row(repeat=2)), "answers.jsonl")
    assert (one.title, one.run_id, one.job_id, one.rehearsal) == ("small", "r1", "small", False)
    two = gathered(source(row(), row(run_id="r2", job_id="j", rehearsal=True)), "answers.jsonl")
    assert (two.title, two.run_id, two.job_id, two.rehearsal) == ("answers.jsonl", None, None, True)
    assert [each["run_id"] for each in two.rows()] == [each["run_id"] for each in two.rows()] == ["r1", "r2"]
    none = gathered(source(), "answers.jsonl")
    assert (none.title, list(none.rows())) == ("answers.jsonl", [])


def test_what_is_said_of_a_failure() -> None:
    """Status, kind and message, as far as they are there."""
    assert said(failed()) == "failed: connection: no route"
    assert said(row(status="cancelled", response=None)) == "cancelled"
