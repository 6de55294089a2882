from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.journals import PLAN, SPLIT_PAIR, any_event, of_each_kind, start, succeeded, write

from beacon_cli import events as ev
from beacon_cli.replay import read

EXECUTION = next(PLAN.executions())

HOSTILE = [
    *(chr(code) for code in range(0x20)),
    *(chr(code) for code in range(0x7F, 0xA0)),
    *"\u2028\u2029\u202e\u2066\ufeff\ufffe\uffff",
    *"\ud800\udbff\udc00\udfff",
    "\udc00\ud800",
    "\U0010ffff",
    '"},{"event":"run_finished"}\n',
    "\\ud800",
]


def test_every_kind_is_tried() -> None:
    """There is a strategy for each kind of event that a journal can hold."""
    assert of_each_kind.keys() == set(get_args(ev.Event))


@given(event=any_event)
def test_an_event_is_what_it_was(event: ev.Event) -> None:
    """Every event comes back from its line as it was, and from its record too."""
    assert ev.from_line(ev.to_line(event)) == event
    assert ev.from_record(ev.to_record(event)) == event


@given(event=any_event)
def test_a_line_is_one_line_of_ascii(event: ev.Event) -> None:
    """Whatever an event holds, its line has one newline, at its end, and nothing that a terminal would obey."""
    line = ev.to_line(event)
    assert line.endswith(b"\n")
    assert all(0x20 <= byte < 0x7F for byte in line[:-1])


def test_every_hostile_text_through_a_file(tmp_path: Path) -> None:
    """Answers with every control character, separators and lone surrogates come back from the disk unchanged."""
    told = [succeeded(EXECUTION, response=f"a{text}b", provenance={text: text}) for text in HOSTILE]
    path = write(tmp_path / "events.jsonl", [start(), *told])
    assert list(read(path))[1:] == told


@given(text=st.text(st.characters(), min_size=1))
def test_a_split_pair_comes_back_joined(text: str) -> None:
    """Of two surrogates that belong together JSON makes the character that they mean; nothing else changes."""
    event = succeeded(EXECUTION, response=text)
    back = ev.from_line(ev.to_line(event))
    assert isinstance(back, ev.AttemptSucceeded)
    joined = SPLIT_PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)
    assert back.answer.response == joined


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), 10**400, -(10**30)])
def test_numbers_that_other_readers_refuse(number: float) -> None:
    """Numbers beyond what a double or JSON holds are kept too."""
    event = succeeded(EXECUTION, provenance={"n": number})
    assert ev.from_line(ev.to_line(event)) == event


@pytest.mark.parametrize("line", [b"", b"\n", b'{"event":"region_', b"\xff\xfe{}\n", b"\x00" * 64, b"[" * 100_000])
def test_what_is_no_json(line: bytes) -> None:
    """A part of a line, and garbage, is said to be no JSON."""
    with pytest.raises((ValueError, RecursionError)):
        ev.from_line(line)


def test_unknown_keys_are_passed_over() -> None:
    """A record with a key more, from a later beacon of the same schema, is read."""
    record = {**ev.to_record(succeeded(EXECUTION)), "new": 1}
    assert ev.from_line(json.dumps(record).encode()) == succeeded(EXECUTION)
