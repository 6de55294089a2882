"""Models that are warmed before they are asked: in virtual time, then over a store with leases."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import anyio
import msgspec
import pytest
from tests.support.housing import Building, Housed, Runner, job
from tests.support.jobs import US, spec
from tests.support.scripted import Scripted, answers, run

from beacon_cli import events as ev
from beacon_cli.leftovers import Leftovers
from beacon_cli.model import Execution, Limits, Model, Outcome, Region, Schedule, Spec, Window
from beacon_cli.queues import memory
from beacon_cli.queues.open import OpenTurn

BOOTS = {"llama3.2-1b": 10.0, "mistral-7b": 90.0, "qwen2.5-1.5b": 30.0}


class _Boot(OpenTurn):
    def __init__(self, boots: Mapping[str, float], woken: list[str]) -> None:
        self._boots = boots
        self._woken = woken

    @property
    def prewarms(self) -> bool:
        return True

    async def warm(self, model: Model) -> None:
        self._woken.append(model.id)
        await anyio.sleep(self._boots[model.id])


class Cold:
    """A queue without waiting, in whose turns containers take their time to start."""

    def __init__(self, boots: Mapping[str, float] = BOOTS) -> None:
        self.boots = boots
        self.woken: list[str] = []

    @asynccontextmanager
    async def turn(
        self,
        region: Region,  # noqa: ARG002 - the port's form
        models: Sequence[Model],  # noqa: ARG002
        executions: int,  # noqa: ARG002
    ) -> AsyncIterator[_Boot]:
        """See `ports.Queue.turn`."""
        yield _Boot(self.boots, self.woken)


def questions(executor: Scripted, model: str) -> list[tuple[float, str]]:
    """When each question of a model was begun, in us."""
    return [
        (at, execution.question.id)
        for at, execution, _ in executor.began
        if (execution.region.id, execution.model.id) == ("us", model)
    ]


def in_us(**changes: object) -> Spec:
    """The user's job in one region."""
    return msgspec.structs.replace(spec(), regions=(US,), **changes)


@pytest.mark.parametrize("schedule", list(Schedule))
def test_the_slowest_start_holds_no_other(schedule: Schedule) -> None:
    """Each model begins the moment it is warm, and goes on at its own pace while another is still starting."""
    executor = Scripted(seconds=lambda _: 4.0)
    told = run(in_us(schedule=schedule), executor, queue=Cold())
    for model, boot in BOOTS.items():
        begun = questions(executor, model)
        assert [at for at, _ in begun] == pytest.approx([boot + 4.0 * place for place in range(8)])
        assert [name for _, name in begun] == sorted(name for _, name in begun)
    assert told.seconds == pytest.approx(90.0 + 8 * 4.0)
    assert told.standings.total("succeeded") == 24


def test_who_has_caught_up_goes_in_step() -> None:
    """A model that was late and is faster catches up, and from then on no model begins before all have ended."""
    boots = {"llama3.2-1b": 0.0, "mistral-7b": 10.0, "qwen2.5-1.5b": 0.0}
    executor = Scripted(seconds=lambda execution: 1.0 if execution.model.id == "mistral-7b" else 6.0)
    run(in_us(), executor, queue=Cold(boots))
    slow, fast = questions(executor, "llama3.2-1b"), questions(executor, "mistral-7b")
    assert [at for at, _ in slow] == pytest.approx([6.0 * place for place in range(8)])
    assert [at for at, _ in fast[:2]] == pytest.approx([10.0, 11.0]), "two questions to catch up with"
    assert fast[2:] == slow[2:], "from then on side by side"
    assert all(later > sooner for sooner, later in pairwise(at for at, _ in fast))


def test_each_execution_happens_once_however_late_models_are() -> None:
    """Whatever the order in which containers come, each execution is asked exactly once."""
    for late in range(0, 40, 3):
        boots = {"llama3.2-1b": late * 1.0, "mistral-7b": 20.0, "qwen2.5-1.5b": 40.0 - late}
        executor = Scripted(seconds=lambda _: 4.0)
        told = run(spec(), executor, queue=Cold(boots))
        asked = [execution.id for _, execution, _ in executor.began]
        assert len(asked) == len(set(asked)) == 72
        assert told.standings.total("succeeded") == 72


def test_only_models_with_work_left_are_woken() -> None:
    """A resumed run wakes no container for a model that has every answer already."""

    def script(execution: Execution, number: int) -> Outcome:
        return answers(execution, number)

    first = run(
        in_us(),
        Scripted(script, seconds=lambda ex: 1.0 if ex.model.id == "mistral-7b" else 50.0),
        stop_after=60.0,
        queue=Cold(dict.fromkeys(BOOTS, 0.0)),
    )
    done = msgspec.structs.replace(in_us(schedule=Schedule.LANES))
    again = Cold(dict.fromkeys(BOOTS, 0.0))
    told = run(done, Scripted(), past=first.events, queue=again)
    assert told.standings.total("succeeded") == 24
    finished = Cold(dict.fromkeys(BOOTS, 0.0))
    run(done, Scripted(), past=told.events, queue=finished)
    assert finished.woken == []


def going(runner: Runner, *, before: Sequence[ev.Event] = (), opening: ev.RunResumed | None = None) -> None:
    """Carry a run out in real time, after what happened before."""

    async def main() -> None:
        with anyio.fail_after(20):
            await runner.go(before, opening)

    anyio.run(main, backend="asyncio")


def test_a_run_warms_under_its_lease() -> None:
    """The call that wakes is noted under the lease as any other, and no question is asked before it has ended."""
    store, building = memory.store(), Building()
    building.boots = {"m1": 0.2, "m2": 0.2, "m3": 0.2}
    runner = Runner(store, Housed(building), prewarm=True)
    under_lease: list[str] = []

    async def look() -> None:
        await runner.journal.seen(ev.Warming, count=3)
        await anyio.sleep(0.1)  # the store is told after the journal
        under_lease.extend(store.snapshot().regions["us"].active[0].calls)

    async def main() -> None:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(look)
                await runner.go()

    anyio.run(main, backend="asyncio")
    warming, warmed = runner.journal.of(ev.Warming), runner.journal.of(ev.Warmed)
    assert sorted(event.model for event in warmed) == ["m1", "m2", "m3"]
    assert all(event.answer.cold_start for event in warmed)
    assert {event.call_id for event in warming} == {event.call_id for event in warmed} == set(under_lease)
    asked = [event for event in runner.journal.of(ev.AttemptStarted) if event.at < min(each.at for each in warmed)]
    assert asked == []
    assert runner.standings.warming == {}
    assert not runner.standings.open_calls


def test_a_container_that_does_not_start_fails_nothing() -> None:
    """A model whose container does not come in time is asked all the same; its waking call is ended first."""
    building = Building()
    building.boots["m2"] = math.inf
    limited = job(limits=Limits(timeout=0.3, models_at_once=3))
    runner = Runner(memory.store(), Housed(building), spec=limited, prewarm=True)
    going(runner)
    (failed,) = runner.journal.of(ev.WarmingFailed)
    assert (failed.model, failed.ended) == ("m2", True)
    assert building.cancelled == [failed.call_id]
    assert runner.standings.total("succeeded") == runner.standings.planned


def test_a_stop_ends_what_was_being_woken() -> None:
    """A run that is stopped while containers start ends the waking calls at the provider, and says so."""
    building = Building()
    building.boots = dict.fromkeys(("m1", "m2", "m3"), math.inf)
    runner = Runner(memory.store(), Housed(building), prewarm=True)

    async def main() -> None:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(runner.go)
                await runner.journal.seen(ev.Warming, count=3)
                group.cancel_scope.cancel()

    anyio.run(main, backend="asyncio")
    assert building.calls == set()
    assert len(runner.journal.of(ev.WarmingFailed)) == 3
    assert all(event.ended for event in runner.journal.of(ev.WarmingFailed))


def test_a_resumed_run_ends_the_wakings_of_the_process_before() -> None:
    """Calls with which a process that died was waking containers are ended and journalled: none may still run."""
    building = Building()
    runner = Runner(memory.store(), Housed(building), prewarm=True)
    building.calls.add("fc-old")
    opening = ev.Warming(at=1.0, region="us", model="m1", call_id="fc-old")
    resumed = ev.RunResumed(at=2.0, run_id="a", spec=runner.plan.spec, planned=runner.plan.planned, beacon="test")
    going(runner, before=[opening], opening=resumed)
    assert "fc-old" not in building.calls
    assert [event.call_id for event in runner.journal.of(ev.OrphanEnded)] == ["fc-old"]
    assert runner.standings.open_calls == {}
    assert runner.standings.total("succeeded") == runner.standings.planned


def test_a_container_is_kept_for_the_turn_alone(tmp_path: Path) -> None:
    """With `keep_warm` each pool has a minimum of one while the turn lasts, noted on disk; then it has none."""
    building, leftovers = Building(), Leftovers(tmp_path)
    during: list[tuple[list[Window], int]] = []

    def look() -> None:
        during.append((list(building.windows.values()), len(leftovers.every())))

    runner = Runner(
        memory.store(), Housed(building, during=look), prewarm=True, keep_warm=True, leftovers=leftovers
    )
    going(runner)
    assert set(map(str, during)) == {str(([Window(seconds=300, min_containers=1)] * 3, 3))}
    assert set(building.windows.values()) == {Window(seconds=300)}
    assert leftovers.every() == ()


def test_a_later_run_puts_back_what_a_crash_kept_warm(tmp_path: Path) -> None:
    """What a run that is no more had kept warm is as before once another run has had its turn."""
    building, leftovers = Building(), Leftovers(tmp_path)
    pool = building.pool(US, Model(id="m1"))
    kept = Window(seconds=300, min_containers=1)
    leftovers.remember(pool, Window(seconds=300), kept, run_id="dead", at=1.0)
    building.windows[pool] = kept
    going(Runner(memory.store(), Housed(building), leftovers=leftovers))
    assert building.windows[pool] == Window(seconds=300)
    assert leftovers.every() == ()
