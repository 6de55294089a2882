"""How a run waits for its turn: in a thread that asks, and an event loop that sleeps."""

from __future__ import annotations

import threading
import time
from typing import Any, cast

import anyio
import pytest
from tests.support.queue_scenes import Idler

from beacon_cli import events as ev
from beacon_cli.errors import StoreError
from beacon_cli.ports import Store
from beacon_cli.tickets import Answer, Caps, Entered, Granted, Request, Snapshot, Waiting, Why
from beacon_cli.turns import waiting
from beacon_cli.turns.mending import Mender
from beacon_cli.turns.waiting import Wait


def place(position: int) -> Waiting:
    """What a claim is answered at this place."""
    return Waiting(position=position, why=Why.TURN, reason="another has its turn")


class Said:
    """A store that gives these answers to claims in turn, the last for ever; it fails where one is a failure."""

    poll_seconds = 0.001

    def __init__(self, *answers: Answer | StoreError) -> None:
        self._answers = list(answers)
        self.claims: list[str] = []
        """The threads that claimed."""
        self.looks = 0

    def agree(self, caps: Caps) -> Caps:
        """The caps are agreed on."""
        return caps

    def enter(self, request: Request) -> Entered:
        """A ticket."""
        del request
        return Entered(1)

    def snapshot(self) -> Snapshot:
        """Nothing to see; counted."""
        self.looks += 1
        return Snapshot(at=0.0, now=0.0, caps=Caps(), regions={})

    def claim(self, ticket: int, holder: str) -> Answer:
        """The next answer."""
        del ticket, holder
        self.claims.append(threading.current_thread().name)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, StoreError):
            raise answer
        return answer


def wait(store: Said, told: list[ev.TurnAwaited]) -> Wait:
    """A wait at this store; what is said of it goes to `told`."""

    async def emit(event: ev.Event) -> None:
        assert isinstance(event, ev.TurnAwaited)
        told.append(event)

    request = Request(
        run_id="r", job_id="j", region="us", user="ann", holder="h", pools={"p": 1}, executions=1, models=("m",)
    )
    mender = cast("Mender", Idler())
    return Wait(cast("Store", store), request, caps=Caps(), mender=mender, emit=emit, clock=time.time)


class Awake:
    """How often the event loop was woken for the wait: each time it hands a question to a thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        run_sync: Any = anyio.to_thread.run_sync

        async def counted(*arguments: Any, **options: Any) -> Any:
            self.times += 1
            return await run_sync(*arguments, **options)

        monkeypatch.setattr(anyio.to_thread, "run_sync", counted)


def test_what_stays_as_it_was_wakes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred claims with the same answer are one thread's, and the event loop hears of the last."""
    store, told = Said(*[place(1)] * 100, Granted(7)), list[ev.TurnAwaited]()
    awake = Awake(monkeypatch)
    assert anyio.run(wait(store, told).over) == Entered(1, 7)
    assert len(store.claims) == 101
    assert [event.position for event in told] == [1]
    assert awake.times < 10


def test_each_place_in_the_queue_is_told() -> None:
    """Whoever moves up is told so at once, each time."""
    store, told = Said(place(3), place(3), place(2), place(2), place(1), Granted(7)), list[ev.TurnAwaited]()
    assert anyio.run(wait(store, told).over) == Entered(1, 7)
    assert [event.position for event in told] == [3, 2, 1]


def test_a_store_that_fails_in_the_thread_is_asked_again() -> None:
    """A failure between two claims is told, and the claims go on."""
    store, told = Said(place(1), place(1), StoreError("gone"), place(1), Granted(7)), list[ev.TurnAwaited]()
    assert anyio.run(wait(store, told).over) == Entered(1, 7)
    assert [event.reason for event in told] == ["another has its turn", "gone", "another has its turn"]


def test_a_wait_that_is_cancelled_ends_at_once_and_claims_no_more() -> None:
    """A run that is stopped while it is far back does not wait for its next question."""
    store, told = Said(place(40)), list[ev.TurnAwaited]()
    store.poll_seconds = 1.0

    async def main() -> float:
        async with anyio.create_task_group() as group:
            group.start_soon(wait(store, told).over)
            await anyio.sleep(0.2)
            began = anyio.current_time()
            group.cancel_scope.cancel()
        return anyio.current_time() - began

    took, claims = anyio.run(main), len(store.claims)
    time.sleep(0.05)
    assert took < waiting.SELDOMEST_POLL / 2
    assert len(store.claims) == claims == 1


def test_the_expected_start_is_looked_at_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole queue is gone through when the place has changed, and now and then, not at each question."""
    monkeypatch.setattr(waiting, "_LOOKED_ANEW", 0.05)
    store, told = Said(*[place(1)] * 200, Granted(7)), list[ev.TurnAwaited]()
    anyio.run(wait(store, told).over)
    assert 2 <= store.looks <= 20
