"""An imagined course of a run takes as long as the engine takes, whatever the times and the schedule."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import virtual
from tests.support.jobs import EU, US, spec
from tests.support.scripted import Scripted, run

from beacon_cli.behaviour import fleet
from beacon_cli.model import Execution, Limits, Model, Outcome, Question, Region, Schedule, Spec, Succeeded
from beacon_cli.plan import Plan
from beacon_cli.planning.courses import Cell, Times, Way, course
from beacon_cli.ports import MayPlace, Over, Placed, always
from beacon_cli.queues.open import OpenTurn

WINDOW = 120.0


class Housed(Scripted):
    """Answers from containers that start, in virtual time; keeps when each container went up and down."""

    def __init__(self, times: Times, scaling: fleet.Scaling) -> None:
        super().__init__()
        self._times = times
        self._fleet = fleet.Fleet(lambda pool, nth: times.start(cell_of(pool), nth), scaling=scaling)
        self._done: dict[str, anyio.Event] = {}
        self._count = 0
        self.seconds_up = 0.0

    async def attempt(
        self,
        execution: Execution,
        number: int,
        placed: Placed,
        may_place: MayPlace = always,  # noqa: ARG002 - no turn here is lost
    ) -> Outcome:
        """See `ports.Executor.attempt`."""
        await placed(f"{execution.id}/{number}")
        await self.work(f"{execution.region.id}/{execution.model.id}", self._times.answer(execution))
        await anyio.sleep(self._times.overhead(execution))
        return Succeeded(response="a")

    async def work(self, pool: str, seconds: float) -> None:
        """Have a container work for so long."""
        self._count += 1
        name = str(self._count)
        done = self._done[name] = anyio.Event()
        self._happened(self._fleet.submit(pool, name, fleet.Work(seconds=seconds), anyio.current_time()))
        while not done.is_set():
            due = self._fleet.next_at()
            assert due is not None
            with anyio.move_on_after(max(0.0, due - anyio.current_time())):
                await done.wait()
            self._happened(self._fleet.advance(anyio.current_time()))

    def run_out(self) -> float:
        """The seconds that all containers lived, to their ends."""
        while (due := self._fleet.next_at()) is not None:
            self._happened(self._fleet.advance(due))
        return self.seconds_up

    def _happened(self, happenings: Sequence[fleet.Happening]) -> None:
        for each in happenings:
            match each:
                case fleet.Finished(_, name):
                    self._done[name].set()
                case fleet.Booted(at):
                    self.seconds_up -= at
                case fleet.Gone(at):
                    self.seconds_up += at
                case _:
                    pass


class Prewarming:
    """A queue in which every turn comes at once, and warms."""

    def __init__(self, executor: Housed) -> None:
        self._executor = executor

    @asynccontextmanager
    async def turn(
        self, region: Region, models: Sequence[Model], executions: int
    ) -> AsyncIterator[OpenTurn | Over]:
        """See `ports.Queue.turn`."""
        assert models
        assert executions
        yield _Warm(self._executor, region)


class _Warm(OpenTurn):
    def __init__(self, executor: Housed, region: Region) -> None:
        super().__init__()
        self._executor = executor
        self._region = region

    @property
    def prewarms(self) -> bool:
        return True

    async def warm(self, model: Model) -> None:
        await self._executor.work(f"{self._region.id}/{model.id}", 0.0)


def cell_of(pool: str) -> Cell:
    """The cell that a pool of `Housed` is named after."""
    region, model = pool.split("/")
    return region, model


def drawn(seed: int, *, overhead: float = 0.0) -> Times:
    """Times that differ for every container and every execution, the same for the same seed."""

    def part(*names: object) -> float:
        return random.Random(f"{seed} {names}").random()  # noqa: S311 - times, not secrets

    return Times(
        start=lambda cell, nth: 30 + 60 * part("start", *cell, nth),
        answer=lambda execution: 3 + 2 * part(execution.region.id, execution.order),
        overhead=lambda execution: overhead * part("over", execution.region.id, execution.order),
    )


@st.composite
def jobs(draw: st.DrawFn) -> Spec:
    """Jobs of one or two regions, lockstep or in lanes, with as many slots as it happens."""
    schedule = draw(st.sampled_from(Schedule))
    return spec(
        regions=draw(st.sampled_from([(US,), (US, EU)])),
        models=tuple(Model(id=f"m{n}") for n in range(draw(st.integers(1, 3)))),
        questions=tuple(Question(id=f"q{n}", text=f"{n}?") for n in range(draw(st.integers(1, 6)))),
        schedule=schedule,
        in_flight=draw(st.integers(1, 3)) if schedule is Schedule.LANES else 1,
        limits=Limits(per_region=draw(st.integers(1, 4)), concurrency=draw(st.integers(1, 10))),
    )


def carried_out(job: Spec, times: Times, scaling: fleet.Scaling, *, prewarm: bool) -> tuple[float, float]:
    """How long the engine takes in virtual time, and how many seconds all containers live."""
    executor = Housed(times, scaling)
    queue = Prewarming(executor) if prewarm else None
    told = run(job, executor, backend=virtual.asyncio, queue=queue)
    return told.seconds, executor.run_out()


@settings(max_examples=150, deadline=None)
@given(jobs(), st.integers(0, 10_000), st.booleans(), st.sampled_from([0.0, 0.5]), st.integers(1, 3))
def test_a_course_takes_as_long_as_the_engine(
    job: Spec,
    seed: int,
    prewarm: bool,  # noqa: FBT001 - drawn
    overhead: float,
    concurrent: int,
) -> None:
    """Same times, same plan: the wall time and the seconds of all containers are those of the engine itself."""
    times, scaling = drawn(seed, overhead=overhead), fleet.Scaling(concurrent=concurrent)
    seconds, lived = carried_out(job, times, scaling, prewarm=prewarm)
    found = course(Plan(job), times, Way(prewarm=prewarm), scaling)
    assert found.seconds == pytest.approx(seconds)
    assert sum(life.seconds for life in found.lives) == pytest.approx(lived)
