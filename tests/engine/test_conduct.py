"""A run from its first event to its last, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from tests.support import virtual
from tests.support.jobs import spec
from tests.support.scripted import Script, Scripted, answers, down, started

from beacon_cli import conduct
from beacon_cli import events as ev
from beacon_cli.counts import RegionState
from beacon_cli.journal import MemoryJournal
from beacon_cli.model import Execution, Limits, Outcome, Spec
from beacon_cli.plan import Plan
from beacon_cli.queues.open import OpenQueue
from beacon_cli.results import Standings, fold
from beacon_cli.rows import Status, tally


class Watched(MemoryJournal):
    """Says when so many answers are in it."""

    def __init__(self, answers: int) -> None:
        super().__init__()
        self.full = anyio.Event()
        self._left = answers

    async def append(self, event: ev.Event) -> None:
        """Keep it, and count."""
        await super().append(event)
        self._left -= isinstance(event, ev.AttemptSucceeded)
        if not self._left:
            self.full.set()


def conducted(
    job: Spec, script: Script = answers, stop_at: float | None = None
) -> tuple[list[ev.Event], Standings]:
    """The journal of a run, stopped at a moment if one is given, and the standings that it ended with."""
    journal = MemoryJournal()
    plan = Plan(job)
    ended: list[Standings] = []

    async def stops() -> AsyncIterator[str]:
        await anyio.sleep(stop_at if stop_at is not None else float("inf"))
        yield "SIGINT"

    async def main() -> None:
        standings = await conduct.conduct(
            plan,
            opening=started(plan),
            recorder=conduct.Recorder(journal, Standings(), []),
            queue=OpenQueue(),
            executor=Scripted(script),
            stops=stops(),
            clock=anyio.current_time,
            rand=lambda: 0.5,
        )
        ended.append(standings)

    virtual.trio(main)
    return journal.events, ended[0]


def test_a_run_opens_and_closes_its_journal() -> None:
    """The first event is the opening, the last one counts every execution of the plan."""
    events, standings = conducted(spec())
    assert isinstance(events[0], ev.RunStarted)
    closing = events[-1]
    assert isinstance(closing, ev.RunFinished)
    assert (closing.succeeded, closing.failed, closing.skipped, closing.cancelled) == (72, 0, 0, 0)
    assert closing.seconds == pytest.approx(8 * 4.0)
    assert tally(fold(events)) == tally(standings)


def test_a_wish_to_stop_ends_the_run_and_says_so() -> None:
    """After a stop nothing new is asked; the reason and the counts are in the journal."""
    events, standings = conducted(spec(), stop_at=6.0)
    assert standings.interrupted == "SIGINT"
    at = next(n for n, event in enumerate(events) if isinstance(event, ev.RunInterrupted))
    assert not [event for event in events[at:] if isinstance(event, ev.AttemptStarted)]
    closing = events[-1]
    assert isinstance(closing, ev.RunFinished)
    assert (closing.succeeded, closing.cancelled) == (9, 63)


def test_the_time_limit_of_a_run_ends_it_as_a_stop_does() -> None:
    """`limits.run_timeout` stops the run where it is, and is named as the reason."""
    _, standings = conducted(spec(limits=Limits(run_timeout=10.0)))
    assert standings.interrupted == "limits.run_timeout"
    assert standings.total("succeeded") == 18


def test_a_region_given_up_before_a_stop_counts_as_skipped() -> None:
    """The closing counts agree with the rows of the results, also where a region was given up before a stop."""

    def script(execution: Execution, number: int) -> Outcome:
        return down() if execution.region.id == "eu" else answers(execution, number)

    events, standings = conducted(spec(), script, stop_at=26.0)
    assert standings.regions["eu"].state is RegionState.GIVEN_UP
    closing = events[-1]
    assert isinstance(closing, ev.RunFinished)
    assert closing.skipped == tally(fold(events[:-1]))[Status.SKIPPED] == 21


def test_a_stop_that_finds_nothing_left_is_no_interruption() -> None:
    """A signal between the last answer and the last event changes nothing: the run came to its end."""
    plan = Plan(spec())
    ended: list[Standings] = []

    async def main() -> None:
        journal = Watched(answers=72)

        async def stops() -> AsyncIterator[str]:
            await journal.full.wait()
            yield "SIGINT"

        standings = await conduct.conduct(
            plan,
            opening=started(plan),
            recorder=conduct.Recorder(journal, Standings(), []),
            queue=OpenQueue(),
            executor=Scripted(),
            stops=stops(),
            clock=anyio.current_time,
            rand=lambda: 0.5,
        )
        assert isinstance(journal.events[-1], ev.RunFinished)
        ended.append(standings)

    virtual.trio(main)
    assert ended[0].interrupted is None
    assert ended[0].total("succeeded") == 72
