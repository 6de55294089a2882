"""Turns that are lost at an awkward moment, and regions in which a run has nothing to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from tests.support.housing import LEASE, Ahead, Building, Housed, Runner, job

from beacon_cli import events as ev
from beacon_cli.model import Limits, RetryRule
from beacon_cli.ports import Store
from beacon_cli.queues import memory
from beacon_cli.tickets import Answer, Caps, Granted, LogKind


def on_asyncio(main: Callable[[], Awaitable[object]]) -> None:
    """Run a test on the loop that beacon runs on, no longer than 20 s."""

    async def bounded() -> None:
        with anyio.fail_after(20):
            await main()

    anyio.run(bounded, backend="asyncio")


class Robbed:
    """A store whose first turn is another's before its holder hears of it, as if the process had been stopped."""

    def __init__(self, store: Store, clock: Ahead) -> None:
        self._store = store
        self._clock = clock
        self.robberies = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def claim(self, ticket: int, holder: str) -> Answer:
        """See `ports.Store.claim`."""
        answer = self._store.claim(ticket, holder)
        if isinstance(answer, Granted) and not self.robberies:
            self.robberies += 1
            self._clock.ahead += 10 * LEASE
            assert self._store.reclaim(ticket, "host:thief") is not None
            assert self._store.reclaimed(ticket, "host:thief", {})
        return answer


def test_a_turn_lost_before_it_began_places_no_call() -> None:
    """Stopped between the grant and its first call for so long that the turn is gone, a run takes another."""
    clock, building = Ahead(), Building()
    store = memory.store(clock)
    robbed = Robbed(store, clock)
    runner = Runner(robbed, Housed(building))
    on_asyncio(runner.go)
    grants = [entry for entry in store.log() if entry.kind is LogKind.GRANTED]
    assert robbed.robberies == 1
    assert len(grants) == 2
    assert len(runner.executor.began) == 6
    assert len(runner.journal.of(ev.TurnLost)) == 1
    assert runner.standings.total("succeeded") == 6


def test_a_region_without_work_is_left_to_others() -> None:
    """A resumed run takes no ticket where nothing is pending: it would be the head of the line until its end."""
    store = memory.store()
    runner = Runner(store, Housed(Building()))

    async def main() -> None:
        await runner.queue.knock(wait=True, pending={"us": 0})

    on_asyncio(main)
    assert store.snapshot().regions == {}


def test_calls_that_do_not_end_keep_their_turn() -> None:
    """Where the provider confirms no end, the GPUs stay counted; the next run has them once the calls ended."""
    store, building = memory.store(), Building()
    building.is_deaf = True
    hurried = job(questions=1, limits=Limits(timeout=0.05), retry=RetryRule(attempts=1))
    first = Runner(store, Housed(building, seconds=60.0), spec=hurried)
    second = Runner(store, Housed(building), run="b", spec=job(("x", "y", "z"), questions=1))

    async def main() -> None:
        await first.go()
        assert len(building.calls) == 3
        assert store.snapshot().regions["us"].gpus == 3
        async with anyio.create_task_group() as group:
            group.start_soon(second.go)
            await anyio.sleep(3 * LEASE)
            assert second.executor.began == []
            building.is_deaf = False

    on_asyncio(main)
    assert building.calls == set()
    assert second.standings.total("succeeded") == 3


def test_a_turn_that_stood_still_lets_no_request_leave() -> None:
    """From the moment in which the lease is not certain, and after it is another's, nothing may be placed."""
    clock, building = Ahead(), Building()
    store = memory.store(clock)
    executor = Housed(building, seconds=5.0)
    runner = Runner(store, executor, spec=job(("m1",)), clock=clock)
    seen: list[bool] = []

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(runner.go)
            await runner.journal.seen(ev.CallPlaced)
            seen.append(executor.may_place())
            clock.ahead += 3 * LEASE
            seen.append(executor.may_place())
            (lease,) = store.snapshot().regions["us"].active
            assert store.reclaim(lease.id, "host:thief") is not None
            await anyio.sleep(LEASE / 2)
            seen.append(executor.may_place())
            group.cancel_scope.cancel()

    on_asyncio(main)
    assert seen == [True, False, False]


class Forgetful:
    """A store that can lose all that it knows."""

    def __init__(self) -> None:
        self.inner = memory.store()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_a_store_that_lost_its_data_gets_the_caps_again() -> None:
    """A run that goes on after its store forgot everything says first what the workspace allows."""
    store, building = Forgetful(), Building()
    caps = Caps(lease_seconds=LEASE, gpus_per_region=1, gpus_total=1)
    runner = Runner(store, Housed(building, seconds=0.05), spec=job(("m1",), questions=4), caps=caps)

    async def lose() -> None:
        await runner.journal.seen(ev.CallPlaced)
        store.inner = memory.store()

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(lose)
            await runner.go()

    on_asyncio(main)
    assert store.inner.agree(Caps()) == caps
    assert len(runner.journal.of(ev.TurnLost)) == 1
    assert runner.standings.total("succeeded") == 4
