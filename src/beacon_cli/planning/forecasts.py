"""What a run of a plan will take: many imagined courses with drawn times, as low, expected and high. Pure.

Times come from the history of this machine, for each model and region, and stand for themselves where too few were
measured. Draws have a seed of their own. That is Monte Carlo simulation; low and high are the 10th and the 90th
percentile of the courses, an 80 % interval; expected is their mean.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec

from beacon_cli.behaviour.fleet import Scaling
from beacon_cli.model import JsonObject, Schedule
from beacon_cli.plan import Plan
from beacon_cli.planning.courses import Cell, Course, Times, Way, course
from beacon_cli.rates import Rates
from beacon_cli.timings.history import History
from beacon_cli.timings.spread import Distribution

LOW, HIGH = 0.1, 0.9
DRAWS = 200
"""So many courses of each way: the ends of the interval then vary by about a hundredth of its width."""
_LEAST_DRAWS = 20
_WORK = 15_000
"""Executions to be imagined for each way before fewer courses are drawn: about a second."""
MOST = 20_000
"""Executions of a plan that can be imagined at all."""


class Name(StrEnum):
    """The ways that are compared."""

    COLD = "cold"
    PREWARMED = "prewarmed"
    KEPT_WARM = "kept_warm"
    LANES = "lanes"


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """The mean, and the ends of an interval that holds 80 % of the courses."""

    low: float
    expected: float
    high: float


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """USD for a second of each cell's GPU, None where unknown; what the GPU is, None where nobody said."""

    per_second: Mapping[Cell, float | None]
    gpus: Mapping[Cell, str | None]
    rates: Rates

    @property
    def unknown(self) -> list[Cell]:
        """The cells whose seconds have no price."""
        return [cell for cell, price in self.per_second.items() if price is None]


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """One way: the wall time and the containers' time in seconds, and USD, None where a price is unknown.

    `cold_wall` is how much sooner it would end on average if containers started in no time; `cold_gpu` and
    `idle_gpu` the parts of the containers' seconds in which they start, and stand idle. `cold_usd` and `least_usd`
    (of what has a price) are means.
    """

    name: Name
    wall: Estimate
    gpu: Estimate
    usd: Estimate | None
    cold_wall: float
    cold_gpu: float
    idle_gpu: float
    cold_usd: float | None
    least_usd: float


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """All of it: the ways, one typical course of the way that `beacon run` takes, and what it rests on."""

    forecasts: Mapping[Name, Forecast]
    taken: Name
    typical: Course
    draws: int
    measured: Mapping[Cell, tuple[int, int]]
    """How many cold starts and how many answers of each cell were measured; 0: the original system's figures."""
    prices: Prices
    vain_seconds: float
    """What a container that does not come to serve may cost at most: the job's time limit, and its window."""

    @property
    def vain_usd(self) -> float | None:
        """USD for one such container of each cell, at most; None where a price is unknown."""
        prices = self.prices.per_second.values()
        known = [price for price in prices if price is not None]
        return self.vain_seconds * sum(known) if len(known) == len(prices) else None


def prices(cells: Iterable[Cell], gpu: Callable[[Cell], str | None], rates: Rates) -> Prices:
    """What a second of each cell costs, by the GPU that `gpu` says it has."""
    gpus = {cell: gpu(cell) for cell in cells}
    return Prices(
        per_second={cell: rates.per_second(name, cell[0]) for cell, name in gpus.items()}, gpus=gpus, rates=rates
    )


def drawn(plan: Plan, history: History, chance: random.Random) -> Times:
    """One draw of every time that a course of the plan may need, the same however it is carried out."""
    starts: dict[tuple[Cell, int], float] = {}
    answers: dict[str, float] = {}
    overheads: dict[str, float] = {}
    for execution in plan.executions():
        region, model = execution.region.id, execution.model.id
        answers[execution.id] = _draw(history.generation(region, model), chance)
        overhead = history.overhead(region, model)
        overheads[execution.id] = _draw(overhead, chance) if overhead is not None else 0.0

    def start(cell: Cell, nth: int) -> float:
        if (cell, nth) not in starts:
            own = random.Random(f"{chance_of_starts} {cell} {nth}")  # noqa: S311 - times, not secrets
            starts[cell, nth] = _draw(history.start(*cell), own)
        return starts[cell, nth]

    chance_of_starts = chance.random()
    return Times(
        start=start,
        answer=lambda execution: answers[execution.id],
        overhead=lambda execution: overheads[execution.id],
    )


def foretold(of: Distribution, share: float) -> float:
    """The value that a new one stays below with probability `share`, in seconds.

    Of `n` values the largest is passed by one in `n + 1`, not by none: few values know little of the ends, so the
    ends are drawn out by what `n` values of an even spread fall short of it (Weibull's plotting positions). Of a
    single value the spread is that of the original system's figures.
    """
    if not of.n:
        return of.quantile(share)
    if of.n == 1:
        return of.points[0] * (0.5 + share)
    place = (share * (of.n + 1) - 1) / (of.n - 1)
    inside = of.quantile(place)
    beyond = place - min(1.0, max(0.0, place))
    return max(of.points[0] / 2, inside + beyond * (of.points[-1] - of.points[0]))


def _draw(of: Distribution, chance: random.Random) -> float:
    return foretold(of, chance.random())


def outlook(
    plan: Plan,
    history: History,
    priced: Prices,
    scaling: Scaling,
    *,
    gpus: int = 10,
    draws: int = DRAWS,
    seed: int = 0,
    without_containers: bool = False,
) -> Outlook:
    """Imagine the plan in each way, from the same draws. `scaling` is that of the apps.

    `without_containers`: it asks an endpoint, of which nothing has to start and nothing is paid by the second.
    """
    draws = max(_LEAST_DRAWS, min(draws, _WORK // max(1, len(plan))))
    lanes = _in_lanes(plan)
    plans = {name: lanes if name is Name.LANES else plan for name in Name}
    courses: dict[Name, list[Course]] = {name: [] for name in Name}
    without: dict[Name, list[Course]] = {name: [] for name in Name}
    for number in range(draws):
        times = drawn(plan, history, random.Random(f"plan {seed} {number}"))  # noqa: S311 - times, not secrets
        at_once = msgspec.structs.replace(times, start=lambda _cell, _nth: 0.0)
        twins: dict[bool, Course] = {}
        for name, way in _WAYS.items():
            asked = msgspec.structs.replace(way, without_containers=without_containers)
            courses[name].append(course(plans[name], times, asked, scaling, gpus=gpus))
            in_lanes = plans[name].spec.schedule is Schedule.LANES
            if in_lanes not in twins:
                twins[in_lanes] = course(plans[name], at_once, asked, scaling, gpus=gpus)
            without[name].append(twins[in_lanes])
    taken = Name.PREWARMED if _prewarms(plan) else Name.COLD
    return Outlook(
        forecasts={name: _forecast(name, courses[name], without[name], priced) for name in Name},
        taken=taken,
        typical=_typical(courses[taken]),
        draws=draws,
        measured={
            (region.id, model.id): (
                history.start(region.id, model.id).n,
                history.generation(region.id, model.id).n,
            )
            for region, model in plan.cells()
        },
        prices=priced,
        vain_seconds=plan.spec.limits.timeout + scaling.scaledown_window,
    )


_WAYS: Mapping[Name, Way] = {
    Name.COLD: Way(),
    Name.PREWARMED: Way(prewarm=True),
    Name.KEPT_WARM: Way(prewarm=True, warm=True, keep=True),
    Name.LANES: Way(prewarm=True),
}


def _in_lanes(plan: Plan) -> Plan:
    return Plan(msgspec.structs.replace(plan.spec, schedule=Schedule.LANES))


def _prewarms(plan: Plan) -> bool:
    """Whether `beacon run` warms the plan's models unless told otherwise: where one is asked more than once."""
    return len(plan) > sum(1 for _ in plan.cells())


def _forecast(name: Name, courses: Sequence[Course], without: Sequence[Course], priced: Prices) -> Forecast:
    walls = [each.seconds for each in courses]
    starting = [sum(life.starting for life in each.lives) for each in courses]
    answering = [sum(life.answering for life in each.lives) for each in courses]
    lived = [sum(life.seconds for life in each.lives) for each in courses]
    known = {cell: price for cell, price in priced.per_second.items() if price is not None}
    money = [sum(life.seconds * known.get(life.cell, 0.0) for life in each.lives) for each in courses]
    cold = [sum(life.starting * known.get(life.cell, 0.0) for life in each.lives) for each in courses]
    is_priced = not priced.unknown
    return Forecast(
        name=name,
        wall=_estimate(walls),
        gpu=_estimate(lived),
        usd=_estimate(money) if is_priced else None,
        cold_wall=max(0.0, _mean(walls) - _mean([each.seconds for each in without])),
        cold_gpu=_mean(starting),
        idle_gpu=_mean(lived) - _mean(starting) - _mean(answering),
        cold_usd=_mean(cold) if is_priced else None,
        least_usd=_mean(money),
    )


def _typical(courses: Sequence[Course]) -> Course:
    """The course whose wall time is in the middle."""
    return sorted(courses, key=lambda each: each.seconds)[len(courses) // 2]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _estimate(values: Sequence[float]) -> Estimate:
    ordered = sorted(values)

    def at(share: float) -> float:
        place = share * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (place - low)

    return Estimate(low=at(LOW), expected=_mean(values), high=at(HIGH))


def record(found: Outlook, plan: Plan) -> JsonObject:
    """All of it for programs: seconds and USD, None where unknown."""
    rates = found.prices.rates
    return {
        "job_id": plan.spec.id,
        "executions": len(plan),
        "interval": HIGH - LOW,
        "courses": found.draws,
        "taken": found.taken.value,
        "ways": {name.value: _way(each) for name, each in found.forecasts.items()},
        "cells": [
            {
                "region": cell[0],
                "model": cell[1],
                "measured_starts": starts,
                "measured_answers": answers,
                "gpu": found.prices.gpus[cell],
                "usd_per_second": found.prices.per_second[cell],
            }
            for cell, (starts, answers) in found.measured.items()
        ],
        "slots": [
            {
                "region": life.cell[0],
                "model": life.cell[1],
                "up": round(life.up, 3),
                "ready": round(life.ready, 3),
                "down": round(life.down, 3),
                "answering": [[round(since, 3), round(until, 3)] for since, until in life.busy],
            }
            for life in found.typical.lives
        ],
        "in_vain": {
            "seconds_at_most": round(found.vain_seconds, 3),
            "usd_at_most": None if found.vain_usd is None else round(found.vain_usd, 6),
        },
        "rates": {"dated": rates.dated, "source": rates.source},
    }


def _way(each: Forecast) -> JsonObject:
    return {
        "wall_seconds": _rounded(each.wall, 1),
        "wall_seconds_due_to_cold_starts": round(each.cold_wall, 1),
        "gpu_seconds": _rounded(each.gpu, 1) | {"cold": round(each.cold_gpu, 1), "idle": round(each.idle_gpu, 1)},
        "usd": None if each.usd is None else _rounded(each.usd, 6),
        "usd_due_to_cold_starts": None if each.cold_usd is None else round(each.cold_usd, 6),
        "usd_known": round(each.least_usd, 6),
    }


def _rounded(each: Estimate, digits: int) -> JsonObject:
    return {name: round(value, digits) for name, value in msgspec.to_builtins(each).items()}
