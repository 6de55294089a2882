"""How long a job takes by how its containers are started, and how good the planner's forecast of it is.

    python benchmarks/warmth.py ways [--seeds 20] [--speed 1] [--beside 20]
    python benchmarks/warmth.py planner [--seeds 100]

`ways` runs the installed `beacon` on an emulator in a process of its own, with the original system's timings: 3
regions, 3 models, 8 questions, answers of 3 to 5 s, cold starts of 30 to 90 s. What it says comes from the ledger.
Seeds run side by side in real time, since a run does little but wait: at ten times the speed each millisecond that
a process waits for a core counts for ten.

`planner` has the planner learn from ten runs and forecast a hundred others, which the engine carries out in
virtual time with the emulator's own draws; the planner sees neither them nor their seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from beacon_cli.behaviour import timing
from beacon_cli.behaviour.fleet import Scaling
from beacon_cli.emulator import ledger
from beacon_cli.model import Execution, Limits, ModalTarget, Model, Question, Region, Schedule, Spec
from beacon_cli.plan import Plan
from beacon_cli.planning import forecasts
from beacon_cli.planning.courses import Cell, Times, Way, course
from beacon_cli.rates import Rates
from beacon_cli.timings.history import History

REGIONS = ("us", "eu", "asia")
MODELS = ("llama3.2-1b", "mistral-7b", "qwen2.5-1.5b")
QUESTIONS = 8
AT_ONCE = 8
RUNS = 10
"""Runs that the planner has learnt from."""
LESSONS = 5
"""Times that it learns anew: what it expects depends on what it has seen."""
GOALS = {"prewarmed": 45.0, "kept warm": 40.0, "lanes": 36.0, "concurrent": 15.0}
SERVE = """
import sys
from pathlib import Path
from beacon_cli.behaviour.fleet import Scaling
from beacon_cli.emulator import server
from beacon_cli.emulator.provider import Settings
seed, speed, at_once, window, ledger = (of(each) for of, each in zip((int, float, int, float, Path), sys.argv[1:]))
scaling = Scaling(concurrent=at_once, scaledown_window=window)
settings = Settings(seed=seed, speed=speed, scaling=scaling)
with server.running(settings, ledger=ledger) as address:
    print(*(f"{name}={value}" for name, value in address.environment().items()), flush=True)
    sys.stdin.read()
"""


def spec(*, lanes: bool = False, in_flight: int = 1) -> Spec:
    """The original system's job."""
    return Spec(
        id="warmth",
        regions=tuple(Region(id=name, app=name, place=name) for name in REGIONS),
        models=tuple(Model(id=name) for name in MODELS),
        questions=tuple(Question(id=f"q{n}", text=f"Question {n}?") for n in range(QUESTIONS)),
        target=ModalTarget(app="a", cls="Model", method="generate"),
        limits=Limits(concurrency=10 * in_flight, per_region=3 * in_flight),
        schedule=Schedule.LANES if lanes else Schedule.LOCKSTEP,
        in_flight=in_flight,
    )


def job(of: Spec) -> str:
    """The same as a job file, in JSON, which is YAML too."""
    return json.dumps(
        {
            "id": of.id,
            "regions": REGIONS,
            "models": MODELS,
            "questions": [{"id": each.id, "text": each.text} for each in of.questions],
            "limits": {"concurrency": of.limits.concurrency, "per_region": of.limits.per_region},
            "schedule": of.schedule.value,
            "in_flight": of.in_flight,
        }
    )


class Measured(NamedTuple):
    """One run, in the provider's seconds, all from the ledger.

    `questions` is counted in each region from when its last model was warm (where nothing was warmed: from its
    first question) to its last answer; the slowest region's counts. `bound` is the same of a course that the
    planner imagines with the ledger's own times and nothing in between. `warming` is what came before, `wall`
    everything from the first call on. `peak` is the most containers that lived in one region at once, `gpu` the
    seconds that the run's containers live, to the end of their windows.
    """

    wall: float
    warming: float
    questions: float
    bound: float
    peak: int
    gpu: float


class Told(NamedTuple):
    """What a ledger says of one run, in seconds since its first call; `answers` and `starts` are lengths."""

    answers: dict[str, float]
    starts: dict[Cell, float]
    first: dict[str, float]
    last: dict[str, float]
    warm: dict[str, float]
    gpu: float


def told(records: Iterable[dict[str, Any]], *, since: float, speed: float) -> Told:
    """Read the part of a ledger that is one run's: the calls that were placed `since` then (monotonic seconds)."""
    found = Told({}, {}, {}, {}, {}, 0.0)
    began: dict[str, float] = {}
    origin: float | None = None
    ends: dict[str, float] = {}
    ups: dict[str, float] = {}
    for each in records:
        at = each["mono"]
        match each["event"]:
            case "container_up":
                ups[each["container"]] = at
                model = each["pool"].partition("(")[2].rstrip(")")
                found.starts[each["region"], model] = each["seconds"] * speed
            case "placed" if at >= since:
                origin = at if origin is None else origin
                if each["execution"] is not None:
                    found.first.setdefault(each["region"], (at - origin) * speed)
            case "started" if at >= since:
                began[each["call"]] = at
            case "finished" if each["call"] in began and origin is not None:
                ends[each["container"]] = at
                if each["execution"] is None:
                    found.warm[each["region"]] = (at - origin) * speed
                else:
                    found.last[each["region"]] = (at - origin) * speed
                    found.answers[each["execution"]] = (at - began[each["call"]]) * speed
    lived = sum(
        (end - max(ups[container], origin or 0.0)) * speed + Scaling().scaledown_window
        for container, end in ends.items()
    )
    return found._replace(gpu=lived)


def peak(records: Iterable[dict[str, Any]]) -> int:
    """The most containers that ever lived in one region at once."""
    alive: Counter[str] = Counter()
    most = 0
    for each in records:
        if each["event"] in {"container_up", "container_down"}:
            alive[each["region"]] += 1 if each["event"] == "container_up" else -1
            most = max(most, alive[each["region"]])
    return most


def asking(last: dict[str, float], since: dict[str, float]) -> float:
    """The slowest region's time from its point in `since` to its last answer."""
    return max(at - since[region] for region, at in last.items())


def measured(path: Path, plan: Plan, way: Way, *, since: float, speed: float, at_once: int) -> Measured:
    """What the ledger says of the run that began then."""
    records = list(ledger.read(path))
    found = told(records, since=since, speed=speed)
    if len(found.answers) != len(plan):
        raise SystemExit(f"{len(found.answers)} of {len(plan)} answers in {path}")
    times = Times(start=lambda cell, _: found.starts[cell], answer=lambda execution: found.answers[execution.id])
    best = course(plan, times, way, Scaling(concurrent=at_once))
    warm = found.warm or found.first
    return Measured(
        wall=max(found.last.values()),
        warming=max(found.warm.values(), default=0.0),
        questions=asking(found.last, warm),
        bound=asking(best.regions, best.warm_at if found.warm else dict.fromkeys(best.regions, 0.0)),
        peak=peak(records),
        gpu=found.gpu,
    )


@contextmanager
def emulator(
    folder: Path, *, seed: int, speed: float, at_once: int = 1, window: float = Scaling().scaledown_window
) -> Iterator[tuple[dict[str, str], Path]]:
    """A workspace in a process of its own, and its ledger."""
    path = folder / f"ledger-{at_once}-{random.random()}.jsonl"  # noqa: S311 - a name
    command = [sys.executable, "-c", SERVE, *map(str, (seed, speed, at_once, window, path))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline() if process.stdout else ""
        variables = dict(each.split("=", 1) for each in line.split())
        home = folder / f"home-{path.stem}"
        yield {**os.environ, **variables, "BEACON_HOME": str(home), "BEACON_USER": "benchmark"}, path
        process.communicate()


def beacon(environment: dict[str, str], path: Path, *options: str) -> None:
    """Run the command to its end."""
    command = [sys.executable, "-m", "beacon_cli", "run", str(path), "--quiet", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"beacon left with {done.returncode}: {done.stderr}")


def now(path: Path) -> float:
    """The ledger's latest moment."""
    latest: float = max(each["mono"] for each in ledger.read(path))
    return latest + 1e-6


def all_ways(seed: int, speed: float) -> dict[str, Measured]:
    """One seed: every way, on workspaces that draw by it."""
    found: dict[str, Measured] = {}
    lockstep, lanes = spec(), spec(lanes=True)
    several = spec(lanes=True, in_flight=AT_ONCE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {}
        for each, of in (("lockstep", lockstep), ("lanes", lanes), ("several", several)):
            files[each] = folder / f"{each}.yaml"
            files[each].write_text(job(of))

        def carried_out(environment: dict[str, str], path: Path, *, way: str, of: Spec, how: Way) -> None:
            file, options, at_once = _OPTIONS[way]
            since = now(path)
            beacon(environment, files[file], *options)
            found[way] = measured(path, Plan(of), how, since=since, speed=speed, at_once=at_once)

        # What keeps containers warm between these runs, however long a process takes to start, is their window.
        with emulator(folder, seed=seed, speed=speed, window=3600.0) as (environment, path):
            carried_out(environment, path, way="cold", of=lockstep, how=Way())
            carried_out(
                environment, path, way="kept warm", of=lockstep, how=Way(prewarm=True, warm=True, keep=True)
            )
            carried_out(environment, path, way="lanes", of=lanes, how=Way(prewarm=True, warm=True, keep=True))
        with emulator(folder, seed=seed, speed=speed) as (environment, path):
            carried_out(environment, path, way="prewarmed", of=lockstep, how=Way(prewarm=True))
        with emulator(folder, seed=seed, speed=speed, at_once=AT_ONCE) as (environment, path):
            carried_out(environment, path, way="concurrent", of=several, how=Way(prewarm=True))
    return found


_OPTIONS = {
    "cold": ("lockstep", ("--no-prewarm",), 1),
    "prewarmed": ("lockstep", (), 1),
    "kept warm": ("lockstep", ("--keep-warm",), 1),
    "lanes": ("lanes", ("--keep-warm",), 1),
    "concurrent": ("several", (), AT_ONCE),
}


def ways(seeds: int, speed: float, beside: int) -> None:
    """Measure every way with every seed, and print medians."""
    with ThreadPoolExecutor(beside) as pool:
        runs = list(pool.map(lambda seed: all_ways(seed, speed), range(1, seeds + 1)))
    print(f"{seeds} seeds, {speed:g} times faster than life, {beside} at a time; load {os.getloadavg()[0]:.1f}")
    print("way         questions   goal  warming   wall   over the bound   most containers in a region")
    for way in _OPTIONS:
        each = [run[way] for run in runs]
        over = statistics.median(one.questions / one.bound - 1 for one in each)
        goal = f"{GOALS[way]:5.0f} s" if way in GOALS else "      -"
        print(
            f"{way:<11} {statistics.median(one.questions for one in each):8.1f} s"
            f" {goal} {statistics.median(one.warming for one in each):6.1f} s"
            f" {statistics.median(one.wall for one in each):5.1f} s {100 * over:13.1f} %"
            f" {max(one.peak for one in each):20}"
        )
    held_against(runs)


def held_against(runs: Sequence[dict[str, Measured]]) -> None:
    """Hold the planner, which has learnt from other seeds, against the ledgers of these runs."""
    found = expectation()
    for way, name in (("cold", forecasts.Name.COLD), ("prewarmed", forecasts.Name.PREWARMED)):
        expected, each = found.forecasts[name], [run[way] for run in runs]
        inside = sum(expected.wall.low <= one.wall <= expected.wall.high for one in each)
        said(name, expected, inside, len(each), statistics.mean(one.gpu for one in each))


def said(name: forecasts.Name, expected: forecasts.Forecast, inside: int, n: int, gpu: float) -> None:
    """Print how good a forecast was."""
    low, high = expected.wall.low, expected.wall.high
    print(
        f"planner, {name.value}: {inside} of {n} walls within {low:.0f} to {high:.0f} s; container seconds"
        f" expected {expected.gpu.expected:.0f}, real {gpu:.0f} ({100 * (expected.gpu.expected / gpu - 1):+.1f} %)"
    )


def drawn(seed: int) -> Times:
    """The times of the emulator with this seed."""
    settings = timing.Timings()

    def answer(execution: Execution) -> float:
        asked = timing.Asked(
            region=execution.region.id,
            model=execution.model.id,
            prompt=execution.question.text,
            key=execution.id,
        )
        seconds: float = timing.service_seconds(settings, seed, asked)
        return seconds

    return Times(start=lambda cell, nth: timing.boot_seconds(settings, seed, *cell, nth), answer=answer)


def learnt(seeds: Iterable[int], plan: Plan) -> History:
    """What the planner knows after a run with each of these seeds."""
    history = History()
    for seed in seeds:
        times = drawn(seed)
        for region, model in plan.cells():
            history.cells[region.id, model.id].start.add(times.start((region.id, model.id), 1))
        for execution in plan.executions():
            history.cells[execution.region.id, execution.model.id].generation.add(times.answer(execution))
    return history


def expectation(first: int = 1001) -> forecasts.Outlook:
    """What the planner expects of the job after ten runs, with seeds of their own from `first` on."""
    plan = Plan(spec())
    priced = forecasts.prices([(region.id, model.id) for region, model in plan.cells()], lambda _: None, Rates())
    return forecasts.outlook(plan, learnt(range(first, first + RUNS), plan), priced, Scaling())


def planner(seeds: int) -> None:
    """Forecast runs whose seeds the planner never sees, and count how often it was right."""
    from tests.engine.test_courses import carried_out

    plan, scaling = Plan(spec()), Scaling()
    found = [expectation(first) for first in range(1001, 1001 + RUNS * LESSONS, RUNS)]
    for name, prewarm in ((forecasts.Name.COLD, False), (forecasts.Name.PREWARMED, True)):
        real = [carried_out(plan.spec, drawn(seed), scaling, prewarm=prewarm) for seed in range(1, seeds + 1)]
        gpu = statistics.mean(seconds for _, seconds in real)
        for each in found:
            expected = each.forecasts[name]
            inside = sum(expected.wall.low <= seconds <= expected.wall.high for seconds, _ in real)
            said(name, expected, inside, seeds, gpu)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("ways", "planner"))
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--beside", type=int, default=20)
    given = parser.parse_args()
    if given.what == "ways":
        ways(given.seeds or 20, given.speed, given.beside)
    else:
        planner(given.seeds or 100)


if __name__ == "__main__":
    main()
