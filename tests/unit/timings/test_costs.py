"""GPU seconds and money: what is used is counted once, what is not known is unknown."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_cli.rates import Rates
from beacon_cli.timings.claims import Claims
from beacon_cli.timings.costs import Costs, Key, price, record, total
from beacon_cli.timings.losses import Lost
from beacon_cli.timings.samples import Sample

RATES = Rates(gpu={"T4": 0.001}, region={"eu": 2.0}, dated="2026-07-01", source="here")
KEY = Key("eu", "m", "T4")


def answer(at: float, generation: float | None = 4.0, start: float | None = 0.0, **claims: Any) -> Sample:
    """An answer that came then."""
    said = {"container": "c1", "gpu": "T4", "cold": bool(start), **claims}
    return Sample(
        region="eu",
        model="m",
        at=at,
        seen=9.0,
        claims=Claims(generation=generation, boot=start, load=start, **said),
    )


def costs(*samples: Sample) -> Costs:
    """Of these answers."""
    found = Costs()
    for sample in samples:
        found.add(sample)
    return found


@given(
    pauses=st.lists(st.floats(0, 1e4), min_size=1, max_size=20),
    generation=st.floats(0, 100),
    start=st.floats(0, 100),
)
def test_a_containers_life_is_divided_whole(pauses: list[float], generation: float, start: float) -> None:
    """Answering, cold and idle seconds of a container are its time from its start to its last answer."""
    at, samples = 1_000.0, list[Sample]()
    for pause in pauses:
        cold = start if not samples else 0.0
        at += pause + generation + 2 * cold
        samples.append(answer(at, generation, cold))
    usage = costs(*samples).usages[KEY]
    first = samples[0]
    assert first.at is not None
    assert first.claims.start is not None
    began = first.at - generation - first.claims.start
    assert usage.known == pytest.approx(at - began, abs=1e-6)
    assert min(usage.idle, usage.cold, usage.generation) >= 0


@given(ends=st.lists(st.floats(0, 100), min_size=2, max_size=10).map(sorted))
def test_several_at_once_are_counted_once(ends: list[float]) -> None:
    """A container that answers several questions at once is busy no longer than it lives."""
    found = costs(*(answer(1_000.0 + end, 50.0) for end in ends))
    usage = found.usages[KEY]
    assert usage.generation <= 50.0 + (ends[-1] - ends[0]) + 1e-6
    assert usage.idle == pytest.approx(
        sum(max(0.0, late - early - 50.0) for early, late in pairwise(ends)), abs=1e-6
    )


def test_containers_that_have_ended_are_not_those_of_the_same_name() -> None:
    """A resumed rehearsal has containers of its own: no idle time between the two, a window for each."""
    found = costs(answer(100.0))
    found.end_containers()
    found.add(answer(9_000.0, start=10.0))
    (usage,) = found.usages.values()
    assert (found.containers, usage.idle) == (2, 0.0)
    assert found.tail(120.0) == {KEY: 240.0}


def test_money_follows_the_rates() -> None:
    """Seconds times the GPU's price times the region's multiplier; the window after it stands apart."""
    found = costs(answer(100.0, 4.0, 10.0), answer(110.0, 4.0))
    usage = found.usages[KEY]
    assert (usage.generation, usage.cold, usage.idle) == (8.0, 20.0, 6.0)
    assert price(usage.known, KEY, RATES) == pytest.approx(0.068)
    assert total(found, RATES).amount == pytest.approx(0.068)
    assert found.tail(120.0) == {KEY: 120.0}
    (only,) = record(found, RATES, 120.0)["usages"]
    assert only["usd"] == 0.068
    assert only["usd_at_most"] == pytest.approx(0.308)


@pytest.mark.parametrize(
    "sample", [answer(1.0, gpu="X9"), answer(1.0, gpu=None), answer(1.0, None), answer(1.0, 4.0, None, cold=None)]
)
def test_what_has_no_price_is_unknown(sample: Sample) -> None:
    """A GPU without a price, one that nobody named, or seconds that nobody told: unknown, and never 0."""
    found = costs(sample)
    assert total(found, RATES).amount is None
    assert record(found, RATES, 120.0)["usd"] is None


def test_failed_attempts_are_an_upper_bound() -> None:
    """What calls without an answer took is named, by their model's GPU, and not added to what was used."""
    found = costs(answer(1.0))
    found.lose(Lost("eu", "m", 30.0))
    usage = found.usages[KEY]
    assert (usage.failed, usage.known) == (30.0, 4.0)


def test_what_gave_no_answer_takes_the_gpu_that_a_later_answer_names() -> None:
    """A loss before the first answer is priced as soon as an answer says what it ran on."""
    found = Costs()
    found.lose(Lost("eu", "m", 30.0))
    assert record(found, RATES, 120.0)["usages"][0]["usd_at_most"] is None
    found.add(answer(100.0))
    (only,) = record(found, RATES, 120.0)["usages"]
    assert only["usd_at_most"] == pytest.approx((30.0 + 4.0 + 120.0) * 0.002)


def test_a_model_that_only_failed_may_have_left_a_container_idle() -> None:
    """Where no answer names a container one is assumed; what a crash left is another than the one that answers."""
    found = Costs()
    found.lose(Lost("eu", "m", 900.0))
    assert found.tail(300.0) == {Key("eu", "m", ""): 300.0}
    found.lose(Lost("eu", "m", 40.0, is_left=True))
    found.add(answer(1e6))
    assert found.tail(300.0) == {KEY: 600.0}
    unnamed = costs(answer(1.0, container=None), answer(9.0, container=None))
    assert (unnamed.tail(300.0), unnamed.usages[KEY].unnamed) == ({KEY: 300.0}, 2)


def test_a_container_that_is_kept_costs_until_it_is_let_go() -> None:
    """Kept warm it stands there before its first answer and after its last, also for longer than its window."""
    found = Costs()
    found.keep("eu", 0.0)
    found.add(answer(100.0))
    found.let_go(1_100.0, 1.0, "eu")
    assert found.usages[KEY].before == 96.0
    assert found.tail(120.0) == {KEY: 1_000.0}
    assert found.tail(2_000.0) == {KEY: 2_000.0}
    found.add(answer(1_200.0))
    assert (found.usages[KEY].idle, found.tail(120.0)) == (1_096.0, {KEY: 120.0})
