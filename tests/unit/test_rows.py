from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from tests.support.journals import (
    PLAN,
    Story,
    answers,
    attempt_started,
    call_placed,
    failed,
    start,
    stories,
    succeeded,
    texts,
    whole,
)

from beacon_cli import events as ev
from beacon_cli.model import ErrorKind, Failed, Succeeded, TimedOut
from beacon_cli.results import fold
from beacon_cli.rows import Status, row, status, tally, to_line

FIRST, SECOND = list(PLAN.executions())[:2]

FIELDS = [
    "run_id",
    "job_id",
    "execution_id",
    "region",
    "model",
    "question_id",
    "context",
    "repeat",
    "status",
    "response",
    "error",
    "attempts",
    "call_id",
    "container",
    "cold_start",
    "queued_at",
    "started_at",
    "finished_at",
    "seconds",
    "provenance",
    "cut_from",
    "rehearsal",
]


def row_of(*events: ev.Event) -> dict[str, Any]:
    """The row of the first execution after these events, of which the last decides if it can."""
    last = events[-1] if events else None
    deciding = last if isinstance(last, ev.AttemptSucceeded | ev.AttemptFailed) else None
    return row(fold([start(), *events]), FIRST, deciding)


def test_the_fields_and_their_order() -> None:
    """Every row has the documented fields in the documented order, whatever became of its execution."""
    begun = attempt_started(FIRST)
    for events in ([], [begun], [begun, failed(FIRST)], whole(FIRST)):
        assert list(row_of(*events)) == FIELDS


def test_an_answer() -> None:
    """A row of success says all that is known of the answer."""
    answer = succeeded(
        FIRST, response="Paris.", container="ta-1", cold_start=False, cut_from=7, provenance={"gpu": "T4"}
    )
    assert row_of(attempt_started(FIRST), call_placed(FIRST), answer) == {
        "run_id": "r1",
        "job_id": "small",
        "execution_id": FIRST.id,
        "region": "us",
        "model": "m1",
        "question_id": "q1",
        "context": None,
        "repeat": 1,
        "status": "succeeded",
        "response": "Paris.",
        "error": None,
        "attempts": 1,
        "call_id": f"fc-{FIRST.id}-1",
        "container": "ta-1",
        "cold_start": False,
        "queued_at": "1970-01-01T00:00:00.500Z",
        "started_at": "1970-01-01T00:00:01.000Z",
        "finished_at": "1970-01-01T00:00:03.000Z",
        "seconds": 2.0,
        "provenance": {"gpu": "T4"},
        "cut_from": 7,
        "rehearsal": False,
    }


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (
            Failed(kind=ErrorKind.MODEL, message="out of memory", transient=False),
            {"kind": "model", "message": "out of memory"},
        ),
        (TimedOut(after=900.0), {"kind": "timeout", "message": "no answer within 900 s"}),
    ],
)
def test_a_failure(failure: Failed | TimedOut, error: dict[str, str]) -> None:
    """A row of failure has the kind and the message of the attempt that decided, and no answer."""
    end = ev.AttemptFailed(at=3.0, execution=FIRST.id, attempt=1, seconds=2.0, failure=failure, retry_in=None)
    found = row_of(attempt_started(FIRST), end)
    assert (found["status"], found["error"], found["response"]) == ("failed", error, None)


def test_a_region_that_was_given_up() -> None:
    """What a given-up region left over is skipped, with the region's reason, begun or not."""
    given_up = ev.RegionGivenUp(at=5.0, region="us", reason="three in a row")
    skipped = {"kind": "given_up", "message": "three in a row"}
    waiting = (attempt_started(FIRST), failed(FIRST, retry_in=9.0))
    for events, attempts in (((), 0), (waiting, 1)):
        found = row_of(*events, given_up, ev.RegionFinished(at=6.0, region="us"))
        assert (found["status"], found["error"], found["attempts"]) == ("skipped", skipped, attempts)
        assert (found["finished_at"], found["seconds"]) == (None, None)


@pytest.mark.parametrize(
    "events",
    [
        (),
        (attempt_started(FIRST),),
        (attempt_started(FIRST), call_placed(FIRST)),
        (attempt_started(FIRST), failed(FIRST, retry_in=9.0)),
        (
            attempt_started(FIRST),
            ev.AttemptCancelled(at=3.0, execution=FIRST.id, attempt=1, call_id=None, ended=True),
        ),
    ],
)
def test_a_run_that_was_stopped(events: tuple[ev.Event, ...]) -> None:
    """What a stop left without an outcome is cancelled, and says by what."""
    found = row_of(*events, ev.RunInterrupted(at=5.0, reason="SIGINT"))
    assert (found["status"], found["error"]) == ("cancelled", {"kind": "interrupted", "message": "SIGINT"})


def test_a_run_that_was_killed() -> None:
    """A run that ended without a word leaves cancelled rows too."""
    found = row_of(attempt_started(FIRST))
    assert found["status"] == "cancelled"
    assert found["error"]["kind"] == "interrupted"


@given(told=stories())
def test_the_tally_is_the_count_of_the_rows(told: tuple[list[ev.Event], Story]) -> None:
    """At any moment of any run the tally is what counting the rows gives, and is all of the plan."""
    standings = fold(told[0])
    counted = Counter(status(standings, execution) for execution in PLAN.executions())
    assert tally(standings) == {each: counted[each] for each in Status}
    assert sum(tally(standings).values()) == len(PLAN)


@given(answer=answers, execution=texts)
def test_a_line_is_strict_and_safe(answer: Succeeded, execution: str) -> None:
    """Whatever was answered, a line of results is strict JSON in ASCII, one line, and keeps the answer's text."""
    end = ev.AttemptSucceeded(at=3.0, execution=FIRST.id, attempt=1, seconds=2.0, answer=answer)
    line = to_line({**row_of(attempt_started(FIRST), end), "execution_id": execution})
    assert line.endswith(b"\n")
    assert all(0x20 <= byte < 0x7F for byte in line[:-1])
    back = json.loads(line, parse_constant=_refuse)
    assert (back["response"], back["execution_id"]) == (answer.response, execution)


def _refuse(name: str) -> None:
    raise AssertionError(name)


def test_numbers_that_json_does_not_have() -> None:
    """A model that reports NaN or infinity does not spoil the file: they become null, all else stays."""
    odd = {"a": float("nan"), "b": [float("inf"), 1.5, "x"], "c": {"d": float("-inf"), "e": None}}
    found = json.loads(to_line({"provenance": odd, "seconds": 2.0}))
    assert found == {"provenance": {"a": None, "b": [None, 1.5, "x"], "c": {"d": None, "e": None}}, "seconds": 2.0}


def test_an_execution_that_the_run_never_knew() -> None:
    """An execution of a plan that has grown since is cancelled: its turn has not come."""
    standings = fold([start()])
    del standings.regions["us"]
    assert status(standings, SECOND) is Status.CANCELLED
