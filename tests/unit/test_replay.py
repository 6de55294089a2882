from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.journals import PLAN, attempt_started, call_placed, failed, start, succeeded, whole, write

from beacon_cli import events as ev
from beacon_cli.counts import State
from beacon_cli.errors import StoreError
from beacon_cli.replay import ends, read, records, recover, result_rows

FIRST, SECOND, THIRD = list(PLAN.executions())[:3]
EVENTS = [start(), *whole(FIRST), *whole(SECOND)]
FINISHED = ev.RunFinished(at=9.0, seconds=8.0, succeeded=2, failed=0, skipped=0, cancelled=6)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "events.jsonl"


def test_records_know_their_place(path: Path) -> None:
    """The bytes between a record's start and end are its line."""
    data = write(path, EVENTS).read_bytes()
    found = list(records(path))
    assert [record.line for record in found] == list(range(1, len(EVENTS) + 1))
    assert [data[record.start : record.end] for record in found] == [ev.to_line(event) for event in EVENTS]


def test_a_torn_tail_at_every_byte(path: Path) -> None:
    """Cut at any byte of its last three records, a journal reads as the records before the cut."""
    lines = [ev.to_line(event) for event in EVENTS]
    data = b"".join(lines)
    for cut in range(len(data) - sum(map(len, lines[-3:])), len(data) + 1):
        path.write_bytes(data[:cut])
        left = data[:cut].count(b"\n")
        assert list(read(path)) == EVENTS[:left]
        recovered = recover(path)
        assert recovered.whole + recovered.torn == cut
        assert recovered.whole == sum(map(len, lines[:left]))


@pytest.mark.parametrize(
    "tail", [b"{", b'{"event":"run_fin\n', b"\x00" * 5000, b"\x00\n\x00\n", b"\xff\xfe\n", b"garbage\n\ngarbage"]
)
def test_what_a_power_cut_leaves_behind(path: Path, tail: bytes) -> None:
    """Zeros and garbage after the last whole record are torn, with or without newlines in them."""
    data = write(path, EVENTS).read_bytes()
    path.write_bytes(data + tail)
    assert list(read(path)) == EVENTS
    assert (recover(path).whole, recover(path).torn) == (len(data), len(tail))


@pytest.mark.parametrize("content", [b"", b"{", b'{"event":"run_started","at":'])
def test_a_crash_before_the_first_record(path: Path, content: bytes) -> None:
    """A journal without a whole record is no error: nothing has happened yet."""
    path.write_bytes(content)
    recovered = recover(path)
    assert (recovered.whole, recovered.torn) == (0, len(content))
    assert recovered.standings.run is None
    assert ends(path) == (None, None)


def _without_newline(lines: list[bytes]) -> None:
    lines[2] = lines[2][:-1]


def _garbled(lines: list[bytes]) -> None:
    lines[2] = b"\x00" * 10 + lines[2][10:]


def _half(lines: list[bytes]) -> None:
    lines[2] = lines[2][:20] + b"\n"


def _unknown(lines: list[bytes]) -> None:
    lines[2] = b'{"event":"never_heard_of","at":1.0}\n'


def _mistyped(lines: list[bytes]) -> None:
    lines[2] = b'{"event":"region_finished","at":"noon","region":"us"}\n'


def _no_object(lines: list[bytes]) -> None:
    lines[2] = b"17\n"


def _empty(lines: list[bytes]) -> None:
    lines[2] = b"\n"


def _orphan(lines: list[bytes]) -> None:
    lines[2] = ev.to_line(call_placed(THIRD))


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (_without_newline, "no JSON"),
        (_garbled, "no JSON"),
        (_half, "no JSON"),
        (_empty, "no JSON"),
        (_unknown, "no event"),
        (_mistyped, "no event"),
        (_no_object, "no event"),
        (_orphan, "it speaks of"),
    ],
)
def test_damage_names_its_line(path: Path, damage: Callable[[list[bytes]], None], what: str) -> None:
    """What stands before a whole record and cannot be read is an error with its line; nothing is passed over."""
    lines = [ev.to_line(event) for event in EVENTS]
    damage(lines)
    path.write_bytes(b"".join(lines))
    before = path.read_bytes()
    with pytest.raises(StoreError) as caught:
        recover(path)
    assert str(caught.value).startswith(f"{path}:3: damaged: {what}")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("last", [b'{"event":"never_heard_of","at":1.0}\n', b"17\n"])
def test_whole_json_at_the_end_is_not_torn(path: Path, last: bytes) -> None:
    """No crash leaves whole JSON behind: a last line that is no event is damage and is not cut off."""
    path.write_bytes(write(path, EVENTS).read_bytes() + last)
    with pytest.raises(StoreError, match=f":{len(EVENTS) + 1}: damaged"):
        recover(path)


def test_a_journal_begins_with_its_run(path: Path) -> None:
    """A file that begins with any other event is no journal."""
    write(path, EVENTS[1:])
    for reader in (recover, ends):
        with pytest.raises(StoreError, match=":1: damaged: a journal begins with the start of its run"):
            reader(path)


@pytest.mark.parametrize("schema", [ev.SCHEMA + 1, 10**30, "2", None])
@pytest.mark.parametrize("reader", [recover, ends], ids=["recover", "ends"])
def test_a_newer_journal_is_refused(path: Path, schema: object, reader: Callable[[Path], object]) -> None:
    """A journal of a later schema is refused by its number, whatever else its lines say, and left as it is."""
    head = {"event": "run_started", "schema": schema, "spec": "of a form not known here"}
    path.write_bytes(json.dumps(head).encode() + b"\n" + b'{"event":"of_the_future"}\n')
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer beacon"):
        reader(path)
    assert path.read_bytes() == before


def test_a_journal_that_a_newer_beacon_has_resumed(path: Path) -> None:
    """A journal that a later schema goes on in is refused, although its first line is of ours."""
    resumed = ev.to_record(
        ev.RunResumed(at=5.0, run_id="r1", spec=PLAN.spec, planned=PLAN.planned, beacon="9", schema=ev.SCHEMA + 1)
    )
    path.write_bytes(
        write(path, EVENTS).read_bytes() + json.dumps(resumed, separators=(",", ":")).encode() + b"\n"
    )
    with pytest.raises(StoreError, match="newer beacon"):
        recover(path)


def test_the_ends(path: Path) -> None:
    """The first and the last event are found without the rest; an end that is not the run's is none."""
    assert ends(write(path, EVENTS)) == (start(), None)
    assert ends(write(path, [*EVENTS, FINISHED])) == (start(), FINISHED)
    path.write_bytes(path.read_bytes() + b'{"event":')
    assert ends(path) == (start(), None)


def test_an_answer_cannot_feign_the_end(path: Path) -> None:
    """An answer that holds a whole record, newlines and all, is an answer."""
    feigned = "\n" + ev.to_line(FINISHED).decode()
    provenance = json.loads(ev.to_line(FINISHED))
    write(
        path, [start(), attempt_started(FIRST), succeeded(FIRST, response=feigned, provenance={"a": provenance})]
    )
    assert ends(path) == (start(), None)
    assert len(list(read(path))) == 3


def test_a_missing_journal(path: Path) -> None:
    """A journal that is not there is one line that names it."""
    with pytest.raises(StoreError, match="no such file"):
        list(read(path))


def test_rows_come_in_the_order_of_the_plan(path: Path) -> None:
    """Whatever the order in which answers came, there is one row for each execution, in the order asked for."""
    executions = list(PLAN.executions())
    write(path, [start(), *(event for execution in reversed(executions) for event in whole(execution))])
    rows = list(result_rows(path, PLAN.executions()))
    assert [row["execution_id"] for row in rows] == [execution.id for execution in executions]
    assert [row["response"] for row in rows] == [f"answer of {execution.id}" for execution in executions]


def test_the_deciding_attempt_gives_the_row(path: Path) -> None:
    """Of an execution that was tried three times the last attempt's answer, call and times are in the row."""
    write(
        path,
        [
            start(),
            attempt_started(FIRST, 1, 1.0),
            failed(FIRST, 1, 2.0, retry_in=1.0),
            attempt_started(FIRST, 2, 3.0),
            call_placed(FIRST, 2, 4.0),
            failed(FIRST, 2, 5.0, retry_in=1.0),
            attempt_started(FIRST, 3, 6.0),
            call_placed(FIRST, 3, 7.0),
            succeeded(FIRST, 3, 8.0, response="at last", container="ta-1", cold_start=True),
        ],
    )
    (row,) = result_rows(path, [FIRST])
    assert (row["status"], row["response"], row["attempts"]) == ("succeeded", "at last", 3)
    assert (row["call_id"], row["container"], row["cold_start"]) == (f"fc-{FIRST.id}-3", "ta-1", True)
    assert row["queued_at"] == "1970-01-01T00:00:00.500Z"
    assert row["started_at"] == "1970-01-01T00:00:06.000Z"
    assert row["finished_at"] == "1970-01-01T00:00:08.000Z"
    assert row["error"] is None


def test_asked_again_after_it_failed(path: Path) -> None:
    """What failed and is asked again has its new fate alone in its row, or none if none came."""
    again = ev.RunResumed(at=5.0, run_id="r1", spec=PLAN.spec, planned=PLAN.planned, beacon="1", again=True)
    past: list[ev.Event] = [
        start(),
        attempt_started(FIRST),
        failed(FIRST),
        attempt_started(SECOND),
        failed(SECOND),
        again,
    ]
    write(path, [*past, attempt_started(FIRST, 2, 6.0), succeeded(FIRST, 2, 7.0)])
    first, second = result_rows(path, [FIRST, SECOND])
    assert (first["status"], first["error"], first["attempts"]) == ("succeeded", None, 2)
    assert (second["status"], second["error"]["kind"], second["finished_at"]) == ("cancelled", "interrupted", None)


def test_a_run_that_never_began_has_no_results(path: Path) -> None:
    """Without a run there are no rows, and an error says so."""
    path.write_bytes(b"")
    with pytest.raises(StoreError, match="no run was started"):
        list(result_rows(path, PLAN.executions()))


def test_the_fold_of_a_file(path: Path) -> None:
    """What recovering folds is what the events say."""
    standings = recover(write(path, EVENTS)).standings
    assert standings.total("succeeded") == 2
    assert standings.executions[FIRST.id].state is State.SUCCEEDED
