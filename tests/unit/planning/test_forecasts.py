"""What a run will take: few values know little of the ends, unknown prices stay unknown, money follows seconds."""

from __future__ import annotations

import statistics
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.jobs import EU, US, spec

from beacon_cli.behaviour.fleet import Scaling
from beacon_cli.model import Limits, OpenaiTarget, Question, Schedule, Spec
from beacon_cli.plan import Plan
from beacon_cli.planning.courses import COOLING, Times, Way, course
from beacon_cli.planning.forecasts import Name, Outlook, foretold, outlook, prices, record
from beacon_cli.rates import Rates
from beacon_cli.timings.history import History
from beacon_cli.timings.spread import Spread, assumed, measured

RATES = Rates(gpu={"T4": 0.001}, region={"us": 1.0, "eu": 2.0}, dated="2026-07-01", source="here")
SMALL = spec(regions=(US, EU), questions=tuple(Question(id=f"q{n}", text=f"{n}?") for n in range(3)))


def foreseen(job: Spec = SMALL, gpu: str | None = "T4", history: History | None = None, seed: int = 0) -> Outlook:
    """An outlook of a job whose models all have this GPU."""
    plan = Plan(job)
    cells = [(region.id, model.id) for region, model in plan.cells()]
    priced = prices(cells, lambda _: gpu, RATES)
    return outlook(plan, history or History(), priced, Scaling(), draws=30, seed=seed)


def test_each_way_is_low_expected_high() -> None:
    """Low is below expected and expected below high, of time and of money; a warm start is the soonest."""
    ways = foreseen().forecasts
    for way in ways.values():
        assert way.usd is not None
        for each in (way.wall, way.gpu, way.usd):
            assert each.low < each.expected < each.high
    assert ways[Name.KEPT_WARM].wall.high < ways[Name.PREWARMED].wall.low <= ways[Name.COLD].wall.low
    assert ways[Name.LANES].wall.expected <= ways[Name.PREWARMED].wall.expected


def test_the_part_of_cold_starts_is_told() -> None:
    """Kept warm, nothing starts cold; else the wall time has about the longest start, 30 to 90 s, in it."""
    ways = foreseen().forecasts
    warm = ways[Name.KEPT_WARM]
    assert (warm.cold_wall, warm.cold_gpu, warm.cold_usd) == (0, 0, 0)
    assert 60 < ways[Name.COLD].cold_wall < 90
    assert ways[Name.COLD].cold_gpu == pytest.approx(6 * 60, rel=0.1)


def test_money_is_container_seconds_at_the_regions_rate() -> None:
    """Each second of a container costs its region's rate, from its start to the end of its window."""
    both, us = foreseen(), foreseen(spec(regions=(US,), questions=SMALL.questions))
    eu = foreseen(spec(regions=(EU,), questions=SMALL.questions))
    for name in Name:
        usd = [each.forecasts[name].usd for each in (both, us, eu)]
        assert [each is None for each in usd] == [False] * 3
    usd_us, usd_eu = us.forecasts[Name.COLD].usd, eu.forecasts[Name.COLD].usd
    assert usd_us is not None
    assert usd_eu is not None
    assert usd_us.expected == pytest.approx(us.forecasts[Name.COLD].gpu.expected * 0.001)
    assert usd_eu.expected == pytest.approx(eu.forecasts[Name.COLD].gpu.expected * 0.002)


@pytest.mark.parametrize("gpu", [None, "Z99"])
def test_a_price_that_is_not_known_is_unknown_and_not_nothing(gpu: str | None) -> None:
    """Of a GPU that nobody named, or that has no price, the sum is None, for people and for programs."""
    found = foreseen(gpu=gpu)
    assert {way.usd for way in found.forecasts.values()} == {None}
    assert record(found, Plan(SMALL))["ways"]["cold"]["usd"] is None


def test_the_same_seed_gives_the_same_outlook_and_another_one_another() -> None:
    """A forecast can be repeated; its draws come from its own seed."""
    assert record(foreseen(), Plan(SMALL)) == record(foreseen(), Plan(SMALL))
    assert record(foreseen(seed=1), Plan(SMALL)) != record(foreseen(), Plan(SMALL))


def test_what_was_measured_takes_the_place_of_the_original_figures() -> None:
    """A machine whose answers took a second and whose starts took ten foresees such times, and says what of."""
    history = History()
    for region, model in Plan(SMALL).cells():
        cell = history.cells[region.id, model.id]
        for _ in range(5):
            cell.start.add(10.0)
            cell.generation.add(1.0)
    found = foreseen(history=history)
    assert set(found.measured.values()) == {(5, 5)}
    assert found.forecasts[Name.PREWARMED].wall.expected == pytest.approx(13)
    assert found.forecasts[Name.KEPT_WARM].wall.expected == pytest.approx(3)


def test_of_few_values_the_ends_are_drawn_out() -> None:
    """Of five values of an even spread from 30 to 90 s the spread foretold is as wide as that, on the average."""
    widths = []
    for step in range(200):
        values = Spread()
        for place in range(5):
            values.add(30 + 60 * ((step * 0.618034 + place * 0.414214 * (step + 1)) % 1))
        of = measured(values)
        assert of is not None
        widths.append(foretold(of, 1.0) - foretold(of, 0.0))
    assert statistics.mean(widths) == pytest.approx(60, rel=0.12)


def test_no_value_foretells_the_figures_assumed_and_one_a_spread_around_it() -> None:
    """Nothing measured: as assumed. A single value: from half of it to half as much again."""
    assert [foretold(assumed(30, 90), share) for share in (0, 0.5, 1)] == [30, 60, 90]
    one = Spread()
    one.add(10.0)
    of = measured(one)
    assert of is not None
    assert [foretold(of, share) for share in (0, 0.5, 1)] == [5, 10, 15]


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(Schedule), st.integers(0, 1000))
def test_a_warm_course_takes_the_plans_lower_bound(schedule: Schedule, seed: int) -> None:
    """Where nothing has to start and every model has a slot, a course is as long as `Plan.lower_bound` says."""
    plan = Plan(spec(schedule=schedule))
    seconds = {each.id: 3 + (seed * 31 + each.order * 7919) % 2001 / 1000 for each in plan.executions()}
    times = Times(start=lambda _cell, _nth: 60.0, answer=lambda execution: seconds[execution.id])
    found = course(plan, times, Way(prewarm=True, warm=True, keep=True), Scaling())
    assert found.seconds == pytest.approx(plan.lower_bound(lambda execution: seconds[execution.id]))


def test_models_that_take_turns_give_up_their_containers_first() -> None:
    """With room for one model at a time, no two containers live at once, and each change takes a cooling."""
    plan = Plan(spec(regions=(US,), limits=Limits(models_at_once=1)))
    times = Times(start=lambda _cell, _nth: 10.0, answer=lambda _: 4.0)
    found = course(plan, times, Way(prewarm=True), Scaling())
    lives = sorted(found.lives, key=lambda life: life.up)
    assert all(before.down <= after.up for before, after in pairwise(lives))
    assert found.seconds == 3 * (10 + 8 * 4) + 2 * COOLING


def test_an_endpoint_starts_nothing() -> None:
    """At an endpoint all ways take as long as the answers, and its price is unknown."""
    job = spec(target=OpenaiTarget(base_url="https://e.example/v1"), regions=(US,))
    plan = Plan(job)
    priced = prices([(region.id, model.id) for region, model in plan.cells()], lambda _: None, RATES)
    found = outlook(plan, History(), priced, Scaling(), draws=20, without_containers=True)
    assert {way.cold_wall for way in found.forecasts.values()} == {0.0}
    assert found.forecasts[Name.COLD].wall == found.forecasts[Name.KEPT_WARM].wall


def test_containers_that_start_in_vain_are_priced_up_to_the_time_limit() -> None:
    """Each may cost its time limit and its window; where a price is unknown so is the sum."""
    each = SMALL.limits.timeout + Scaling().scaledown_window
    said = record(foreseen(), Plan(SMALL))["in_vain"]
    assert said == {"seconds_at_most": each, "usd_at_most": pytest.approx(each * 3 * (0.001 + 0.002))}
    assert record(foreseen(gpu=None), Plan(SMALL))["in_vain"]["usd_at_most"] is None
