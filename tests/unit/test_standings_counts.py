from __future__ import annotations

from msgspec import structs
from tests.unit.display.streams import Plot, played, stream

from beacon_cli import events as ev
from beacon_cli.model import ErrorKind, Failed, Succeeded
from beacon_cli.results import Standings, fold

TROUBLED = Plot(retried=0.2, failing=0.1, dead=("asia",))


def test_the_counts_of_models_add_up_to_their_region() -> None:
    """After any event, what is counted for a region is counted for its models."""
    standings = Standings()
    for event in stream(TROUBLED):
        standings.apply(event)
        for region in standings.regions.values():
            cells = [cell for (place, _), cell in standings.cells.items() if place == region.id]
            for name in ("succeeded", "failed", "cancelled", "retries", "cold", "warm"):
                assert sum(getattr(cell, name) for cell in cells) == getattr(region, name)


def test_failures_are_counted_by_kind_with_an_example() -> None:
    """Every execution that failed for good is in exactly one kind, and the kind knows one of them."""
    standings = played(TROUBLED)
    assert sum(failure.count for failure in standings.failures.values()) == standings.total("failed")
    assert {failure.message for failure in standings.failures.values()} <= {
        "CUDA out of memory",
        "no answer within 900 s",
    }
    assert all(failure.region and failure.model and failure.question for failure in standings.failures.values())


def test_a_failure_that_is_asked_again_is_taken_back() -> None:
    """A failed execution that starts anew, as after a resume, no longer counts as failed anywhere."""
    events = list(stream(Plot(regions=("us",), models=("m",), questions=("q",))))
    begun = next(event for event in events if isinstance(event, ev.AttemptStarted))
    failed = ev.AttemptFailed(
        at=begun.at + 1,
        execution=begun.execution,
        attempt=1,
        seconds=1,
        failure=Failed(kind=ErrorKind.MODEL, message="x", transient=False),
        retry_in=None,
    )
    standings = fold([*events[: events.index(begun) + 1], failed])
    assert standings.failures[ErrorKind.MODEL].count == 1
    standings.apply(begun)
    assert standings.failures == {}
    assert standings.cells["us", "m"].failed == 0
    assert standings.regions["us"].failed == 0


def test_what_resuming_asks_again_is_no_retry() -> None:
    """A retry follows a failure that waited for it; an attempt that was stopped and is made again is none."""
    events = list(stream(Plot(regions=("us",), models=("m",), questions=("q",))))
    begun = next(event for event in events if isinstance(event, ev.AttemptStarted))
    stopped = ev.AttemptCancelled(at=begun.at + 1, execution=begun.execution, attempt=1, call_id=None, ended=True)
    standings = fold([*events[: events.index(begun) + 1], stopped, structs.replace(begun, attempt=2)])
    assert standings.regions["us"].retries == 0
    failed = ev.AttemptFailed(
        at=begun.at + 2,
        execution=begun.execution,
        attempt=2,
        seconds=1,
        failure=Failed(kind=ErrorKind.PLATFORM, message="x", transient=True),
        retry_in=1.0,
    )
    standings.apply(failed)
    standings.apply(structs.replace(begun, attempt=3))
    assert standings.regions["us"].retries == standings.cells["us", "m"].retries == 1


def test_warmth_tells_unknown_from_not_yet() -> None:
    """No entry before the first answer; None when the answer did not say."""
    events = list(stream(Plot(regions=("us",), models=("m",), questions=("q",))))
    begun = next(event for event in events if isinstance(event, ev.AttemptStarted))
    standings = fold(events[: events.index(begun) + 1])
    assert ("us", "m") not in standings.warmth
    standings.apply(
        ev.AttemptSucceeded(
            at=begun.at + 1, execution=begun.execution, attempt=1, seconds=1, answer=Succeeded(response="x")
        )
    )
    assert standings.warmth["us", "m"] is None


def test_times_are_those_of_the_answers() -> None:
    """The sum and the slowest of the attempts that gave an answer."""
    seconds = [event.seconds for event in stream(Plot()) if isinstance(event, ev.AttemptSucceeded)]
    cells = played(Plot()).cells.values()
    assert abs(sum(cell.seconds for cell in cells) - sum(seconds)) < 1e-6
    assert max(cell.slowest for cell in cells) == max(seconds)
