"""A lease is not the GPU: whoever comes next waits until the dead one's calls are known to have ended."""

from __future__ import annotations

import pytest
from tests.support.chaos import Told, ended, stop, until
from tests.support.contest import Contest

pytestmark = pytest.mark.timeout(300)


def _killed_at_its_calls(contest: Contest, text: str) -> set[str]:
    """A run that is killed with three calls under way; gives these."""
    contest.job("dead", [text], regions=["us"])
    contest.begin("dead")
    until(lambda: len(contest.told("dead", "call_placed")) == 3, "three calls placed")
    until(lambda: len(_known(contest)) == 3, "the queue knows them")
    return _known(contest)


def _known(contest: Contest) -> set[str]:
    line = contest.look().regions.get("us")
    return {call for each in line.active for call in each.calls} if line else set()


def _kill(contest: Contest) -> None:
    stop(contest.processes["dead"])
    ended(contest.processes["dead"])


def test_calls_whose_ids_are_known_are_ended_first(contest: Contest, told: Told) -> None:
    """A dead run's calls that ignore gentle cancellation end with their containers; then it is another's turn."""
    told("kill -9 over calls that ignore gentle cancellation")
    calls = _killed_at_its_calls(contest, "It is stubborn")
    _kill(contest)
    contest.job("next", ["Why?"], regions=["us"])
    contest.begin("next")
    contest.finish("next")
    over = [each for each in contest.book.records() if each["event"] == "finished" and each["call"] in calls]
    assert [each["how"] for each in over] == ["cancelled"] * 3
    assert contest.verify("next")["us"] == 3


def test_a_call_that_nobody_knows_is_waited_for(contest: Contest, told: Told) -> None:
    """A dead run's calls without an id in the queue run for five leases: the next run's turn comes after them."""
    told("kill -9 over calls that the queue does not know, 5 leases long")
    calls = _killed_at_its_calls(contest, "It is slow")
    ticket = contest.look().regions["us"].active[0]
    _kill(contest)
    assert contest.store.note(ticket.id, ticket.token, ended=calls)  # as if killed before they were told
    contest.job("next", ["Why?"], regions=["us"])
    contest.begin("next")
    contest.finish("next")
    records = contest.book.records()
    over = max(each["mono"] for each in records if each["event"] == "finished" and each["call"] in calls)
    placed = min(each["mono"] for each in records if each["event"] == "placed" and each["call"] not in calls)
    assert placed > over
    assert contest.verify("next")["us"] == 3
