"""What the store is told of a turn: what came to its end in it, who died of it, how many GPUs it may need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from tests.support.housing import Building, Housed, Runner, job
from tests.support.queueing import request

from beacon_cli import events as ev
from beacon_cli import queue_check
from beacon_cli.model import Region
from beacon_cli.ports import Store
from beacon_cli.queues import memory
from beacon_cli.tickets import POISON, Caps, Entered, Entrance, Granted, Refused


def on_asyncio(main: Callable[[], Awaitable[object]]) -> None:
    """Run a test on the loop that beacon runs on, no longer than 20 s."""

    async def bounded() -> None:
        with anyio.fail_after(20):
            await main()

    anyio.run(bounded, backend="asyncio")


def died(store: Store, times: int) -> None:
    """So many holders of run `a` died in its turn, and one more that nobody has missed yet; it left a call."""
    store.agree(Caps())
    for number in range(times + 1):
        entrance, holder = enter(store, f"host:dead{number}"), f"host:dead{number}"
        assert isinstance(entrance, Entered)
        granted = store.claim(entrance.ticket, holder)
        assert isinstance(granted, Granted)
        assert store.note(entrance.ticket, granted.token, placed=["fc-old"])


def enter(store: Store, holder: str) -> Entrance:
    """Go on with the run, with all still to do."""
    return store.enter(request("a", holder=holder, pools=POOLS, executions=6))


POOLS = {f'{{"app": "us", "function": "m{number}"}}': 1 for number in (1, 2, 3)}


def test_an_answer_is_told_before_the_next_call() -> None:
    """A holder that dies after an answer, in a call that takes long, has made progress: its run may go on."""
    store = memory.store()
    died(store, POISON - 2)
    executor = Housed(Building())
    runner = Runner(store, executor, spec=job(questions=2), caps=Caps())
    executor.seconds = lambda execution: 0.01 if execution.question.id == "q0" else 60.0

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(runner.go)
            await runner.journal.seen(ev.AttemptSucceeded)
            await anyio.sleep(0.6)
            for number in range(POISON - 1):
                assert isinstance(enter(store, f"host:later{number}"), Entered)
            assert isinstance(enter(store, "host:last"), Refused)
            group.cancel_scope.cancel()

    on_asyncio(main)


def test_a_lease_that_was_taken_up_in_vain_costs_no_holder() -> None:
    """Resumes that cannot start leave the lease as they found it, however many, and the run may still begin."""
    store = memory.store()
    died(store, 0)

    async def main() -> None:
        for number in range(POISON + 1):
            runner = Runner(store, Housed(Building()), caps=Caps(), holder=f"host:vain{number}")
            await runner.queue.knock(wait=True)
            await runner.queue.withdraw()
            (left,) = store.snapshot().regions["us"].active
            assert (left.calls, left.expires < store.snapshot().now) == (("fc-old",), True)

    on_asyncio(main)
    assert store.set_aside() == {}


def test_a_turn_reserves_what_its_widest_group_needs() -> None:
    """Two models of two GPUs each, after two that share one: the turn is asked for enough for all, and no more."""
    store, building = memory.store(), _Mixed()
    limits = type(job().limits)(models_at_once=2, per_region=4)
    spec = job(("one", "one-too", "wide1", "wide2"), questions=1, limits=limits)
    runner = Runner(store, Housed(building), spec=spec, caps=Caps(gpus_per_region=4))
    on_asyncio(runner.go)
    entries = list(store.log())
    assert max(entry.gpus for entry in entries) == 4
    assert queue_check.check(entries).violations == ()
    assert runner.standings.total("succeeded") == 4


class _Mixed(Building):
    """Models with a short name share a pool of one GPU; those that are wide have two each."""

    def pool(self, region: Region, model: object) -> str:
        """See `ports.Containers.pool`."""
        name = str(getattr(model, "id", ""))
        return f'{{"app": "{region.app}", "function": "{name if name.startswith("wide") else "shared"}"}}'

    def width(self, pool: str, _inputs: int) -> int:
        """See `ports.Containers.width`."""
        return 2 if "wide" in pool else 1
