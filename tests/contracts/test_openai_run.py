"""A whole run against an endpoint that fails in every way now and then, over real connections."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from tests.support.endpoint import Reply, Server, hang, raw, serving
from tests.support.jobs import US, spec
from tests.support.scripted import resumed, started
from tests.support.unsteady import HALF, unsteady

from beacon_cli import conduct
from beacon_cli import events as ev
from beacon_cli.executors.openai import OpenaiExecutor
from beacon_cli.journal import MemoryJournal
from beacon_cli.model import ErrorKind, Limits, Model, OpenaiTarget, Question, RetryRule, Schedule, TimedOut
from beacon_cli.plan import Plan
from beacon_cli.queues.open import OpenQueue
from beacon_cli.results import Standings, fold

pytestmark = pytest.mark.anyio

REQUESTS = 2_000
AT_ONCE = 50


@pytest.fixture
def anyio_backend() -> str:
    """The HTTP library knows asyncio alone."""
    return "asyncio"


async def _never() -> AsyncIterator[str]:
    await anyio.sleep_forever()
    yield "never"


def job(url: str, *, questions: int = REQUESTS, timeout: float = 3.0, attempts: int = 20) -> Plan:
    """So many questions to one model in lanes."""
    return Plan(
        spec(
            regions=(US,),
            models=(Model(id="m"),),
            questions=tuple(Question(id=f"q{number}", text=f"{number}?") for number in range(questions)),
            target=OpenaiTarget(base_url=url),
            limits=Limits(concurrency=AT_ONCE, per_region=AT_ONCE, timeout=timeout),
            retry=RetryRule(attempts=attempts, first=0.01, longest=0.05),
            schedule=Schedule.LANES,
            in_flight=AT_ONCE,
        )
    )


async def test_every_execution_is_answered_where_one_request_in_ten_fails() -> None:
    """2,000 requests, 10 % faults of nine kinds: each gets its own answer, never too many at once.

    The count of requests in flight, and which were asked, are the server's own.
    """
    async with serving(unsteady(7)) as server:
        plan = job(server.url)
        events = await carried_out(plan)
    standings = fold(events)
    assert standings.total("succeeded") == REQUESTS
    assert standings.open_calls == {}
    assert server.peak <= AT_ONCE
    assert len(server.asked) == standings.total("retries") + REQUESTS
    said = {event.execution: event.answer.response for event in _of(events, ev.AttemptSucceeded)}
    assert said == {each.id: f"answer to {each.question.text}" for each in plan.executions()}
    paced = _of(events, ev.RegionPaced)
    assert min(event.slots for event in paced) < AT_ONCE
    assert {event.reason for event in paced} == {
        "the provider asks for fewer requests",
        "the provider fails: no faster for now",
        "a round of answers",
    }


DRIPS: dict[str, Reply] = {
    "of an answer": raw(HALF, *[b" "] * 500, pause=0.02),
    "of headers": raw(b"HTTP/1.1 200 OK\r\n", *[b"x: y\r\n"] * 500, pause=0.02),
    "of nothing": hang,
}


@pytest.mark.parametrize("name", DRIPS)
async def test_an_answer_that_never_ends_ends_by_the_time_limit(name: str) -> None:
    """`limits.timeout` is for the whole attempt: whoever drips on is left, and the connection is closed."""
    async with serving(DRIPS[name]) as server:
        events = await carried_out(job(server.url, questions=1, timeout=0.4, attempts=1))
        await _idle(server)
    (failure,) = _of(events, ev.AttemptFailed)
    assert isinstance(failure.failure, TimedOut) or failure.failure.kind is ErrorKind.TIMEOUT
    assert failure.ended
    assert failure.seconds < 5


async def carried_out(plan: Plan) -> list[ev.Event]:
    """What the journal holds of a whole run."""
    journal = MemoryJournal()
    assert isinstance(plan.spec.target, OpenaiTarget)
    async with OpenaiExecutor(plan.spec.target, limits=plan.spec.limits, environ={}) as executor:
        await executor.prepare(plan.cells())
        await conduct.conduct(
            plan,
            opening=started(plan),
            recorder=conduct.Recorder(journal, Standings(), []),
            queue=OpenQueue(),
            executor=executor,
            stops=_never(),
            clock=time.time,
            rand=random.Random(7).random,  # noqa: S311 - how long a wait is does not matter
        )
    return journal.events


async def _idle(server: Server) -> None:
    """Until the server has nobody left to answer."""
    with anyio.fail_after(5):
        while server.in_flight:  # noqa: ASYNC110 - the server tells nobody
            await anyio.sleep(0.01)


def _of(events: list[ev.Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


async def test_a_request_that_was_in_flight_when_a_run_was_killed_may_be_paid_twice() -> None:
    """What a resumed run takes up again of an endpoint is asked anew, and the journal says what that may cost."""
    async with serving(unsteady(7)) as server:
        plan = job(server.url, questions=1)
        (execution,) = plan.executions()
        journal = MemoryJournal()
        past = fold([started(plan), *_in_flight(execution.id)])
        async with OpenaiExecutor(OpenaiTarget(base_url=server.url), environ={}) as executor:
            await executor.prepare(plan.cells())
            await conduct.conduct(
                plan,
                opening=resumed(plan),
                recorder=conduct.Recorder(journal, past, []),
                queue=OpenQueue(),
                executor=executor,
                stops=_never(),
                clock=time.time,
                rand=random.Random(7).random,  # noqa: S311 - how long a wait is does not matter
            )
    first, *_ = _of(journal.events, ev.AttemptFailed)
    assert first.failure.kind is ErrorKind.GONE
    assert "may be paid twice" in first.failure.message
    assert past.total("succeeded") == 1


def _in_flight(execution: str) -> list[ev.Event]:
    """An attempt whose answer has not come."""
    about = {"region": US.id, "model": "m", "question": "q0", "context": None, "repeat": 1, "queued_at": 1.0}
    return [
        ev.RegionStarted(at=1.0, region=US.id, waited=0.0),
        ev.AttemptStarted(at=1.0, execution=execution, attempt=1, **about),  # type: ignore[arg-type]
        ev.CallPlaced(at=1.0, execution=execution, attempt=1, call_id="http-1-1"),
    ]
