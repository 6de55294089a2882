"""How much the engine adds: the user's job against its schedule's lower bound, and executions a second.

python benchmarks/engine.py overhead      72 executions of 30 to 50 ms, journal synced: wall time over the bound
python benchmarks/engine.py journal       the same 72 executions: what the journal and its sync add to the makespan
python benchmarks/engine.py throughput    100,000 executions of no latency, journal synced: executions a second
python benchmarks/engine.py plan          100,000 executions planned: seconds and memory
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from beacon_cli import __version__, conduct, journal
from beacon_cli import events as ev
from beacon_cli.behaviour import timing
from beacon_cli.disk import DISK, Disk
from beacon_cli.executors.simulated import SimulatedExecutor
from beacon_cli.model import Execution, Model, Outcome, Question, Region, Schedule, SimulatedTarget, Spec
from beacon_cli.plan import Plan
from beacon_cli.ports import Journal, MayPlace, Placed, always
from beacon_cli.queues.open import OpenQueue
from beacon_cli.results import Standings

REGIONS = tuple(Region(id=name, app=name, place=name) for name in ("us", "eu", "asia"))
MODELS = tuple(Model(id=name) for name in ("llama3.2-1b", "mistral-7b", "qwen2.5-1.5b"))


def job(questions: int, target: SimulatedTarget, schedule: Schedule = Schedule.LOCKSTEP) -> Plan:
    """3 regions x 3 models x so many questions."""
    asked = tuple(Question(id=f"q{n}", text=f"What is the answer to question {n}?") for n in range(questions))
    return Plan(
        Spec(id="bench", regions=REGIONS, models=MODELS, questions=asked, target=target, schedule=schedule)
    )


async def _never() -> AsyncIterator[str]:
    await anyio.sleep_forever()
    yield "never"


class Unsynced(Disk):
    """Writes as ever and calls it durable."""

    def fsync(self, descriptor: int) -> None:
        """See `Disk`."""


class Slow(Disk):
    """Takes as long over a sync as a disk with moving parts."""

    def fsync(self, descriptor: int) -> None:
        """See `Disk`."""
        time.sleep(0.005)
        super().fsync(descriptor)


@asynccontextmanager
async def _kept(disk: Disk | None) -> AsyncIterator[Journal]:
    """A journal on this disk; None: in memory."""
    if disk is None:
        yield journal.MemoryJournal()
        return
    with tempfile.TemporaryDirectory() as folder:
        async with journal.create(Path(folder) / "events.jsonl", disk) as kept:
            yield kept


class Timed(SimulatedExecutor):
    """Remembers how long each attempt really took: asyncio's timers ring up to a millisecond late."""

    def __init__(self, target: SimulatedTarget, took: dict[str, float]) -> None:
        super().__init__(target)
        self._took = took

    async def attempt(
        self,
        execution: Execution,
        number: int,
        placed: Placed,
        may_place: MayPlace = always,  # noqa: ARG002 - no GPU of the workspace
    ) -> Outcome:
        """As the provider's, timed. Telling the call's id runs beside the answer and is not counted twice."""
        began = time.perf_counter()
        outcome = await super().attempt(execution, number, placed)
        self._took[execution.id] = time.perf_counter() - began
        return outcome


async def carry_out(
    plan: Plan, target: SimulatedTarget, disk: Disk | None = DISK, took: dict[str, float] | None = None
) -> float:
    """Conduct the plan with a journal on this disk; the wall seconds of the run alone.

    `took` is filled with the seconds of each execution's attempt, by id.
    """
    opening = ev.RunStarted(
        at=time.time(),
        run_id="bench",
        spec=plan.spec,
        planned=plan.planned,
        fingerprint=plan.fingerprint,
        rehearsal=True,
        beacon=__version__,
    )
    provider = SimulatedExecutor(target) if took is None else Timed(target, took)
    async with _kept(disk) as kept, provider as executor:
        began = time.perf_counter()
        standings = await conduct.conduct(
            plan,
            opening=opening,
            recorder=conduct.Recorder(kept, Standings(), []),
            queue=OpenQueue(),
            executor=executor,
            stops=_never(),
            clock=time.time,
            rand=lambda: 0.5,
        )
        seconds = time.perf_counter() - began
    if standings.total("succeeded") != len(plan):
        raise RuntimeError("the benchmark's run has not every answer")
    return seconds


def _looked_up(took: dict[str, float]) -> Callable[[Execution], float]:
    return lambda execution: took[execution.id]


def overhead(runs: int) -> None:
    """The user's job at a hundredth of the original system's timings."""
    for schedule in Schedule:
        drawn, real = [], []
        for seed in range(runs):
            target = SimulatedTarget(seed=seed, speed=100.0, cold=False)
            plan = job(8, target, schedule)

            def seconds(execution: Execution, seed: int = seed) -> float:
                asked = timing.Asked(
                    region=execution.region.id,
                    model=execution.model.id,
                    prompt=execution.question.text,
                    system_prompt="",
                    key=execution.id,
                    attempt=1,
                    question=execution.question.id,
                )
                return timing.service_seconds(timing.Timings(), seed, asked) / 100.0

            took: dict[str, float] = {}
            wall = anyio.run(carry_out, plan, target, DISK, took)
            drawn.append(wall / plan.lower_bound(seconds))
            real.append(wall / plan.lower_bound(_looked_up(took)))
        for name, ratios in (("as drawn", drawn), ("as taken", real)):
            print(
                f"{schedule.value:9} 72 executions of 30 to 50 ms, wall over bound, times {name}, {runs} runs: "
                f"min {min(ratios):.3f}  median {statistics.median(ratios):.3f}  max {max(ratios):.3f}"
            )


def journalling(runs: int) -> None:
    """What keeping every event adds to the makespan; the ways take turns, which is fair on a busy machine."""
    disks = {"in memory": None, "unsynced": Unsynced(), "synced": DISK, "synced, 5 ms each": Slow()}
    seconds: dict[str, list[float]] = {name: [] for name in disks}
    for seed in range(runs):
        target = SimulatedTarget(seed=seed, speed=100.0, cold=False)
        for name, disk in disks.items():
            seconds[name].append(anyio.run(carry_out, job(8, target), target, disk))
    print(f"{_sync_time() * 1000:.2f} ms a sync on this disk; 72 executions of 30 to 50 ms, {runs} runs")
    for name, times in seconds.items():
        added = [mine / least - 1 for mine, least in zip(times, seconds["in memory"], strict=True)]
        print(f"{name:18} median {statistics.median(times):.4f} s  {statistics.median(added):+.1%}")


def _sync_time() -> float:
    with tempfile.TemporaryFile() as file:
        began = time.perf_counter()
        for _ in range(100):
            file.write(b"x" * 300)
            file.flush()
            os.fsync(file.fileno())
        return (time.perf_counter() - began) / 100


def throughput(runs: int) -> None:
    """As many executions a second as beacon's own work allows."""
    target = SimulatedTarget(speed=float("inf"), cold=False)
    plan = job(11_111, target)
    rates = [len(plan) / anyio.run(carry_out, plan, target) for _ in range(runs)]
    print(
        f"{len(plan):,} executions of no latency, executions a second, {runs} runs: "
        f"min {min(rates):,.0f}  median {statistics.median(rates):,.0f}  max {max(rates):,.0f}"
    )


def planning(runs: int) -> None:
    """A hundred thousand executions with their ids."""
    plan = job(11_112, SimulatedTarget())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, count = [], 0
    for _ in range(runs):
        began = time.perf_counter()
        count = sum(1 for _ in plan.executions())
        seconds.append(time.perf_counter() - began)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"{count:,} executions planned, seconds, {runs} runs: min {min(seconds):.3f}  "
        f"median {statistics.median(seconds):.3f}  max {max(seconds):.3f}; memory +{grown:.1f} MB"
    )


def main() -> None:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["overhead", "journal", "throughput", "plan"])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    benchmarks = {"overhead": overhead, "journal": journalling, "throughput": throughput, "plan": planning}
    benchmarks[options.what](options.runs)


if __name__ == "__main__":
    main()
