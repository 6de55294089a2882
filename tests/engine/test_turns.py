"""Turns over a store that others share: what a run does while it waits, holds, loses and gives back its turn."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

import anyio
import pytest
from tests.support.housing import LEASE, Ahead, Building, Housed, Runner, Shaky, job
from tests.support.queueing import request

from beacon_cli import events as ev
from beacon_cli import queue_check
from beacon_cli.counts import RegionState
from beacon_cli.errors import QueueError, StoreError
from beacon_cli.ports import Store
from beacon_cli.queues import memory
from beacon_cli.tickets import Caps, Entered, Granted, HowEnded, Part, Snapshot, TicketState
from beacon_cli.turns import waiting

TEST = Callable[[], Awaitable[None]]
NOTHING = Part(how=HowEnded.CANCELLED, succeeded=0, failed=0, seconds=0.0)


def on_asyncio(main: TEST) -> None:
    """Run a test on the loop that beacon runs on, in real time, and no longer than 20 s."""

    async def bounded() -> None:
        with anyio.fail_after(20):
            await main()

    anyio.run(bounded, backend="asyncio")


def answered(runner: Runner) -> Counter[str]:
    """How often each execution has its answer in the journal."""
    return Counter(event.execution for event in runner.journal.of(ev.AttemptSucceeded))


def line(store: Store) -> Snapshot:
    """The queue, whose log has to be in order."""
    assert queue_check.check(store.log()).violations == ()
    return store.snapshot()


def test_a_run_takes_its_turn_and_gives_it_back() -> None:
    """A run works under a lease, gives it back with what is warm, and is counted as completed."""
    store, building = memory.store(), Building()
    runner = Runner(store, Housed(building))

    async def main() -> None:
        await runner.go()

    on_asyncio(main)
    us = line(store).regions["us"]
    assert (us.active, us.waiting, us.completed, us.succeeded_executions) == ((), (), 1, 6)
    assert us.gpus == len(us.warm) == 3
    assert set(answered(runner).values()) == {1}


def test_a_blocked_event_loop_costs_no_turn() -> None:
    """While the loop stands still for twice the lease's time, the lease is renewed: nobody can take it."""
    store, building = memory.store(), Building()
    taken: list[object] = []
    over = threading.Event()

    def covet() -> None:
        while not over.wait(0.01):
            taken.extend(store.reclaim(each.id, "host:thief") for each in store.snapshot().regions["us"].active)

    def block() -> None:
        if not taken:
            thief = threading.Thread(target=covet)
            thief.start()
            time.sleep(2 * LEASE)
            over.set()
            thief.join()

    runner = Runner(store, Housed(building, during=block), spec=job(("m1",)))

    async def main() -> None:
        await runner.go()

    on_asyncio(main)
    assert len(taken) > 10
    assert set(taken) == {None}
    assert runner.journal.of(ev.TurnLost) == []
    assert set(answered(runner).values()) == {1}


def test_a_lost_turn_stops_the_work_and_it_goes_on_after_another() -> None:
    """A turn that another process took ends: its calls are cancelled, and after another turn the rest is done."""
    clock, building = Ahead(), Building()
    store = memory.store(clock)
    runner = Runner(store, Housed(building, seconds=0.1), spec=job(questions=3))

    async def steal() -> None:
        await runner.journal.seen(ev.CallPlaced)
        ticket = store.snapshot().regions["us"].active[0]
        clock.ahead += 10 * LEASE  # as if the machine had slept
        dead = store.reclaim(ticket.id, "host:thief")
        assert dead is not None
        assert dead.state is TicketState.RECLAIMING
        await runner.journal.seen(ev.TurnLost)
        assert not building.calls
        assert set(dead.calls) <= set(building.cancelled)
        await anyio.sleep(LEASE / 2)
        assert len(runner.journal.of(ev.RegionStarted)) == 1, "nothing goes on before the old lease is reclaimed"
        assert store.reclaimed(ticket.id, "host:thief", {})

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(steal)
            await runner.go()

    on_asyncio(main)
    assert [event.final for event in runner.journal.of(ev.TurnLost)] == [False]
    assert len(runner.journal.of(ev.RegionStarted)) == 2
    assert set(answered(runner).values()) == {1}
    assert runner.standings.total("succeeded") == 9
    assert line(store).regions["us"].completed == 1


def test_a_store_that_is_away_too_long_ends_the_turn() -> None:
    """Who cannot renew for as long as a lease may be trusted stops; once the store is back it goes on."""
    store, building = memory.store(), Building()
    shaky = Shaky(store)
    runner = Runner(shaky, Housed(building, seconds=0.1), spec=job(questions=4))

    async def fail() -> None:
        await runner.journal.seen(ev.CallPlaced)
        shaky.down = {"renew", "note", "claim", "enter", "leave", "snapshot", "reclaim"}
        began = time.monotonic()
        await runner.journal.seen(ev.TurnLost)
        assert time.monotonic() - began < LEASE + 0.5
        assert not building.calls
        shaky.down = set()

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(fail)
            await runner.go()

    on_asyncio(main)
    (lost,) = runner.journal.of(ev.TurnLost)
    assert "could not be reached" in lost.reason
    assert set(answered(runner).values()) == {1}
    assert runner.standings.total("succeeded") == 12
    assert line(store).regions["us"].active == ()


def test_a_store_that_fails_for_a_moment_costs_nothing() -> None:
    """A hiccup shorter than the trust in a lease is not noticed."""
    store, building = memory.store(), Building()
    shaky = Shaky(store)
    runner = Runner(shaky, Housed(building, seconds=0.05), spec=job(questions=4))

    async def fail() -> None:
        await runner.journal.seen(ev.CallPlaced)
        shaky.down = {"renew", "note"}
        await anyio.sleep(LEASE / 3)
        shaky.down = set()

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(fail)
            await runner.go()

    on_asyncio(main)
    assert shaky.failed
    assert runner.journal.of(ev.TurnLost) == []
    assert runner.standings.total("succeeded") == 12


@pytest.mark.parametrize("operation", ["claim", "enter", "snapshot"])
def test_a_store_that_fails_while_waiting_is_asked_again(operation: str) -> None:
    """Who waits goes on waiting, and says why; the turn comes once the store is back."""
    store, building = memory.store(), Building()
    shaky = Shaky(store)
    runner = Runner(shaky, Housed(building))

    async def mend() -> None:
        await runner.journal.seen(ev.RunStarted)
        await anyio.sleep(0.3)
        shaky.down = set()

    async def main() -> None:
        async with anyio.create_task_group() as group:
            await runner.queue.knock(wait=True)
            shaky.down = {operation}
            group.start_soon(mend)
            with anyio.CancelScope():
                runner.queue.knock = _nothing  # type: ignore[method-assign]  # it has its ticket
                await runner.go()

    on_asyncio(main)
    assert operation in shaky.failed
    assert any(f"{operation} failed" in event.reason for event in runner.journal.of(ev.TurnAwaited))
    assert runner.standings.total("succeeded") == 6


async def _nothing(*, wait: bool, pending: Mapping[str, int] | None = None) -> None:
    del wait, pending


def test_a_store_that_does_not_come_back_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits does not wait for a store for ever."""
    monkeypatch.setattr(waiting, "_PATIENCE", 0.2)
    store, building = memory.store(), Building()
    shaky = Shaky(store)
    runner = Runner(shaky, Housed(building))

    async def main() -> None:
        await runner.queue.knock(wait=True)
        shaky.down = {"claim"}
        runner.queue.knock = _nothing  # type: ignore[method-assign]  # it has its ticket
        with pytest.RaisesGroup(StoreError, allow_unwrapped=True, flatten_subgroups=True):
            await runner.go()

    on_asyncio(main)
    assert line(store).regions.get("us") is None, "its ticket is given back"


@pytest.mark.parametrize("moment", [ev.TurnAwaited, ev.CallPlaced])
def test_a_run_that_is_cancelled_stops_for_good(moment: type) -> None:
    """Cancelled while it waits or works, the run ends, its calls too, and it says by whom."""
    store, building = memory.store(), Building()
    if moment is ev.TurnAwaited:
        store.agree(Caps(lease_seconds=LEASE))
        other = store.enter(request("x", holder="host:x"))
        assert isinstance(other, Entered)
        store.claim(other.ticket, "host:x")
    runner = Runner(store, Housed(building, seconds=5.0))

    async def cancel() -> None:
        await runner.journal.seen(moment)
        store.renew("host:x")
        assert store.cancel("a", None, "bob") == ("us",)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(cancel)
            await runner.go()

    on_asyncio(main)
    (lost,) = runner.journal.of(ev.TurnLost)
    assert (lost.final, lost.reason) == (True, "cancelled by bob")
    assert runner.standings.regions["us"].state is RegionState.STOPPED
    assert runner.standings.interrupted == "cancelled by bob"
    assert not building.calls
    us = line(store).regions["us"]
    assert (us.completed, us.failed, us.waiting) == (0, 0, ())


def test_other_models_have_to_wait_until_idle_containers_are_gone() -> None:
    """What an earlier job left warm is cooled and gone before another job's models start: never over three."""
    store, building = memory.store(), Building()
    first = Runner(store, Housed(building), "a", job(("m1", "m2", "m3")))
    second = Runner(store, Housed(building), "b", job(("m4", "m5")))

    async def main() -> None:
        await first.go()
        assert sum(building.alive.values()) == 3
        await second.go()

    on_asyncio(main)
    assert building.peak == 3
    assert second.standings.total("succeeded") == 4
    assert {each.pool for each in line(store).regions["us"].warm} > {'{"app": "us", "function": "m4"}'}
    assert not building.cooled, "the windows of what was cooled are put back"


def test_the_same_models_take_the_warm_containers_over() -> None:
    """A job with the models of the one before cools nothing."""
    store, building = memory.store(), Building()

    async def main() -> None:
        await Runner(store, Housed(building), "a").go()
        await Runner(store, Housed(building), "b").go()

    on_asyncio(main)
    assert building.peak == 3
    assert line(store).regions["us"].completed == 2


def test_more_models_than_gpus_run_in_groups() -> None:
    """Five models in a region of three GPUs: three through all their questions, then two; never over three."""
    store, building = memory.store(), Building()
    limits = job().limits
    spec = job(tuple(f"m{n}" for n in range(5)), limits=type(limits)(models_at_once=3))
    runner = Runner(store, Housed(building), spec=spec)

    async def main() -> None:
        await runner.go()

    on_asyncio(main)
    assert building.peak == 3
    assert runner.standings.total("succeeded") == 10
    assert [len(answered(runner)), line(store).regions["us"].gpus] == [10, 2]


def test_what_a_dead_holder_left_is_ended_before_its_slots_are_granted_again() -> None:
    """A dead lease's calls are cancelled; nobody works in its place before the provider confirms that."""
    clock, building = Ahead(), Building()
    store = memory.store(clock)
    store.agree(Caps(lease_seconds=LEASE))
    entered = store.enter(request("dead", pools={'{"app": "us", "function": "m9"}': 3}))
    assert isinstance(entered, Entered)
    granted = store.claim(entered.ticket, "host:dead")
    assert isinstance(granted, Granted)
    store.note(entered.ticket, granted.token, placed=["fc-dead"])
    building.calls.add("fc-dead")
    building.is_deaf = True
    clock.ahead += 2 * LEASE
    runner = Runner(store, Housed(building))

    async def hear() -> None:
        await runner.journal.seen(ev.TurnAwaited)
        await anyio.sleep(2 * LEASE)
        assert not runner.journal.of(ev.RegionStarted)
        assert "fc-dead" in building.cancelled
        building.is_deaf = False

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(hear)
            await runner.go()

    on_asyncio(main)
    assert "fc-dead" not in building.calls
    assert runner.standings.total("succeeded") == 6


def test_who_does_not_want_to_wait_leaves_nothing_uncounted() -> None:
    """Refused to wait in one region, a run gives a turn in another back with the warm containers it took over."""
    store, building = memory.store(), Building()
    first = Runner(store, Housed(building), "a")

    async def main() -> None:
        await first.go()
        assert line(store).regions["us"].gpus == 3
        hurried = Runner(store, Housed(building), "b")
        store.pause("us", paused=True)
        with pytest.raises(QueueError, match="paused"):
            await hurried.queue.knock(wait=False)
        store.pause("us", paused=False)
        await hurried.queue.knock(wait=False)
        assert len(line(store).regions["us"].active) == 1
        await hurried.queue.withdraw()

    on_asyncio(main)
    us = line(store).regions["us"]
    assert (us.active, us.gpus) == ((), 3), "the containers live on, and count"


def test_a_resumed_run_that_cannot_start_leaves_its_calls_to_be_ended() -> None:
    """A lease with calls under way, taken up by a run that then does not start, is not given back as if done."""
    store, building = memory.store(), Building()
    runner = Runner(store, Housed(building))
    dead = store.enter(request("a", holder="host:dead", pools={'{"app": "us", "function": "m1"}': 3}))
    assert isinstance(dead, Entered)
    granted = store.claim(dead.ticket, "host:dead")
    assert isinstance(granted, Granted)
    store.note(dead.ticket, granted.token, placed=["fc-1"])

    async def main() -> None:
        await runner.queue.knock(wait=True)
        await runner.queue.withdraw()

    on_asyncio(main)
    (lease,) = line(store).regions["us"].active
    assert lease.calls == ("fc-1",)
