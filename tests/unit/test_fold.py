"""The fold, judged by `journals.Story`, which tells runs by the rules of the events and knows no fold."""

from __future__ import annotations

from hypothesis import given, settings
from tests.support.journals import PLAN, Story, stories

from beacon_cli import events as ev
from beacon_cli.counts import State
from beacon_cli.results import Standings, fold, pending

PHASES = {
    "intent": State.RUNNING,
    "placed": State.RUNNING,
    "waiting": State.WAITING,
    "succeeded": State.SUCCEEDED,
    "failed": State.FAILED,
    "cancelled": State.CANCELLED,
    "lost": State.PENDING,
}


def check(standings: Standings) -> None:
    """What is true of all standings."""
    assert not standings.running.keys() & standings.waiting.keys()
    for name, region in standings.regions.items():
        states = [progress.state for progress in standings.executions.values() if progress.region == name]
        assert region.succeeded == states.count(State.SUCCEEDED)
        assert region.failed == states.count(State.FAILED)
        assert region.cancelled == states.count(State.CANCELLED)
        alive = states.count(State.RUNNING) + states.count(State.WAITING)
        ended = region.succeeded + region.failed + region.skipped + region.cancelled
        assert region.skipped >= 0
        assert alive + ended <= region.planned
    for state, table in ((State.RUNNING, standings.running), (State.WAITING, standings.waiting)):
        of_state = {key for key, progress in standings.executions.items() if progress.state is state}
        assert table.keys() == of_state


@settings(max_examples=500)
@given(told=stories())
def test_every_prefix_is_consistent(told: tuple[list[ev.Event], Story]) -> None:
    """After every event of every run the counts fit the executions' states and do not exceed the plan."""
    standings = Standings()
    for event in told[0]:
        standings.apply(event)
        check(standings)


@settings(max_examples=500)
@given(told=stories())
def test_the_fold_is_what_happened(told: tuple[list[ev.Event], Story]) -> None:
    """Each execution stands where the story has left it, after as many attempts."""
    events, story = told
    standings = fold(events)
    for key, phase in story.phases.items():
        progress = standings.executions.get(key)
        if phase == "new":
            assert progress is None
        else:
            assert progress is not None
            assert (progress.state, progress.attempts) == (PHASES[phase], story.attempts[key])


@settings(max_examples=500)
@given(told=stories())
def test_pending_and_done_are_the_plan(told: tuple[list[ev.Event], Story]) -> None:
    """What has ended is not pending, all else is: nothing is asked twice and nothing forgotten."""
    events, story = told
    standings = fold(events)
    for execution in PLAN.executions():
        ended = story.phases[execution.id] in {"succeeded", "failed"}
        assert (pending(standings, execution.id) is None) == ended
