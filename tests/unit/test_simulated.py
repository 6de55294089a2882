"""The simulated executor in virtual time: hours pass in milliseconds, on trio's clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf

import anyio
import pytest
import trio
import trio.testing

from beacon_cli.behaviour.script import Effect, Rule, Script
from beacon_cli.executors.simulated import RETAINED, SimulatedExecutor
from beacon_cli.model import (
    Cancelled,
    ErrorKind,
    Execution,
    Failed,
    Model,
    Outcome,
    Question,
    Region,
    SimulatedTarget,
    Succeeded,
)


def asking(region: str = "us", model: str = "llama", key: str = "e1") -> Execution:
    """One execution."""
    return Execution(
        id=key,
        region=Region(id=region, app=region, place=region),
        model=Model(id=model),
        question=Question(id="q", text="Who are you?"),
        context=None,
        repeat=1,
        system_prompt=None,
        order=0,
    )


async def nowhere(_call_id: str) -> None:
    """A journal that keeps nothing."""


def in_virtual_time(work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` on a clock that jumps to whatever is due next."""
    trio.run(work, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_cold_answer_takes_a_start_and_a_service_time() -> None:
    """The first answer takes 33 to 95 s, the next 3 to 5 s, and the speed divides both."""

    async def work() -> None:
        for speed in (1.0, 10.0):
            async with SimulatedExecutor(SimulatedTarget(speed=speed)) as executor:
                times = []
                for number in (1, 2):
                    began = anyio.current_time()
                    outcome = await executor.attempt(asking(key=str(number)), 1, nowhere)
                    assert isinstance(outcome, Succeeded)
                    assert outcome.cold_start is (number == 1)
                    times.append((anyio.current_time() - began) * speed)
            assert 33 <= times[0] <= 95
            assert 3 <= times[1] <= 5

    in_virtual_time(work)


def test_containers_may_be_there_already() -> None:
    """With `cold` off every answer is warm from the start."""

    async def work() -> None:
        async with SimulatedExecutor(SimulatedTarget(cold=False)) as executor:
            began = anyio.current_time()
            outcome = await executor.attempt(asking(), 1, nowhere)
            assert anyio.current_time() - began <= 5
            assert isinstance(outcome, Succeeded)
            assert outcome.cold_start is False

    in_virtual_time(work)


def test_the_gpu_limit_holds_over_all_regions() -> None:
    """With two GPUs, a third model's cold start waits until a container has stood idle for its window."""

    async def work() -> None:
        ends: dict[str, float] = {}
        async with SimulatedExecutor(SimulatedTarget(), gpus=2) as executor, anyio.create_task_group() as group:

            async def attempt(model: str) -> None:
                await executor.attempt(asking(model=model, key=model), 1, nowhere)
                ends[model] = anyio.current_time() - began

            began = anyio.current_time()
            for model in ("a", "b", "c"):
                group.start_soon(attempt, model)
        first, _, last = sorted(ends.values())
        assert first + 120 + 33 <= last <= first + 120 + 95

    in_virtual_time(work)


def test_a_hanging_call_ends_at_the_functions_own_limit() -> None:
    """A call that never answers ends as the platform would end it, after 15 minutes."""

    async def work() -> None:
        script = Script(rules=(Rule(effect=Effect.HANG),))
        async with SimulatedExecutor(SimulatedTarget(cold=False), script=script) as executor:
            outcome = await executor.attempt(asking(), 1, nowhere)
            assert isinstance(outcome, Failed)
            assert outcome.kind is ErrorKind.TIMEOUT
            assert anyio.current_time() >= 900

    in_virtual_time(work)


def test_a_call_left_alone_goes_on_without_its_waiter() -> None:
    """Whoever stops waiting leaves a call that has ended by the time it is collected."""

    async def work() -> None:
        ids: list[str] = []

        async def note(call_id: str) -> None:
            ids.append(call_id)

        async with SimulatedExecutor(SimulatedTarget()) as executor:
            with anyio.move_on_after(1):
                await executor.attempt(asking(), 1, note)
            await anyio.sleep(3600)
            began = anyio.current_time()
            assert isinstance(await executor.collect(asking(), ids[0]), Succeeded)
            assert anyio.current_time() == began

    in_virtual_time(work)


def test_order_and_company_change_no_answer() -> None:
    """An execution's answer is the same alone, in another order and among others."""

    async def work() -> None:
        keys = [f"e{number}" for number in range(6)]
        collected = []
        for order in (keys, keys[::-1]):
            outcomes: dict[str, Outcome] = {}
            async with SimulatedExecutor(SimulatedTarget(seed=9)) as executor, anyio.create_task_group() as group:

                async def attempt(key: str, into: dict[str, Outcome], by: SimulatedExecutor) -> None:
                    into[key] = await by.attempt(asking(key=key), 1, nowhere)

                for key in order:
                    group.start_soon(attempt, key, outcomes, executor)
            collected.append({key: outcome.response for key, outcome in outcomes.items()})  # type: ignore[union-attr]
        assert collected[0] == collected[1]

    in_virtual_time(work)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_without_latency_answers_come_at_once_on_either_backend(backend: str) -> None:
    """An infinite speed takes no time, gives way to others, and still keeps the contract."""

    async def work() -> None:
        ids: list[str] = []

        async def note(call_id: str) -> None:
            ids.append(call_id)

        async with SimulatedExecutor(SimulatedTarget(speed=inf)) as executor:
            outcomes = [await executor.attempt(asking(key=str(number)), 1, note) for number in range(RETAINED + 1)]
            assert all(isinstance(outcome, Succeeded) for outcome in outcomes)
            assert len(set(ids)) == RETAINED + 1
            assert await executor.collect(asking(), ids[-1]) == outcomes[-1]
            gone = await executor.collect(asking(), ids[0])
            assert isinstance(gone, Failed)
            assert gone.kind is ErrorKind.GONE

    anyio.run(work, backend=backend)


def test_a_script_holds_without_latency_too() -> None:
    """Failures come as ordered when no time passes; a call that hangs is still there to be cancelled."""

    async def work() -> None:
        ids: list[str] = []

        async def note(call_id: str) -> None:
            ids.append(call_id)

        rules = Rule(effect=Effect.MODEL_ERROR, calls=(1, 1)), Rule(effect=Effect.HANG, model="b")
        script = Script(rules=rules)
        async with SimulatedExecutor(SimulatedTarget(speed=inf), script=script) as executor:
            assert isinstance(await executor.attempt(asking(), 1, note), Failed)
            assert isinstance(await executor.attempt(asking(), 2, note), Succeeded)
            with anyio.move_on_after(5):
                await executor.attempt(asking(model="b"), 1, note)
            assert await executor.cancel(ids[-1])
            assert isinstance(await executor.collect(asking(), ids[-1]), Cancelled)

    in_virtual_time(work)
